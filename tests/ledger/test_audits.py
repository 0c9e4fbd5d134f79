"""The results of audits."""

from relay.instants import Instant
from relay.ledger import Ledger, audits
from relay.ledger.audits import NIGHTLY, AuditRow, Finding, FindingKind

FINDINGS = [
    Finding("", "cloudtalk-1", FindingKind.UNKNOWN, repaired=True),
    Finding("crm", "cloudtalk-1", FindingKind.DOUBLED, details=["a", 'b"\\']),
    Finding("crm", "cloudtalk-2", FindingKind.CHANGED, details=["notes"]),
]


async def add(ledger: Ledger, *findings: Finding, at: int = 100, who: str = NIGHTLY) -> int:
    return await ledger.write(
        lambda c: audits.add(
            c, findings, began_at=Instant(at - 10), finished_at=Instant(at), who=who, result="{}"
        )
    )


async def test_an_audit_is_read_with_its_findings_in_their_order(ledger: Ledger) -> None:
    seq = await add(ledger, *FINDINGS)
    other = await add(ledger, at=200, who="cli")
    nightly = AuditRow(seq, Instant(90), Instant(100), NIGHTLY, "{}")
    assert await ledger.read(lambda c: audits.list_findings(c, seq)) == FINDINGS
    assert await ledger.read(lambda c: audits.list_findings(c, seq, limit=1)) == FINDINGS[:1]
    assert await ledger.read(lambda c: audits.list_findings(c, other)) == []
    assert await ledger.read(lambda c: audits.get(c, seq)) == nightly
    assert await ledger.read(lambda c: audits.get(c, 99)) is None
    newest = await ledger.read(lambda c: audits.list_newest(c, 10))
    assert [row.seq for row in newest] == [other, seq]
    assert await ledger.read(audits.newest_nightly) == nightly


async def test_old_audits_are_deleted_with_their_findings(ledger: Ledger) -> None:
    old = [await add(ledger, *FINDINGS, at=at) for at in (100, 200)]
    kept = await add(ledger, *FINDINGS, at=300)
    before = Instant(300)
    assert await ledger.write(lambda c: audits.delete_old(c, before=before, limit=1))
    assert await ledger.read(lambda c: audits.list_findings(c, old[0])) == []
    assert await ledger.read(lambda c: audits.list_findings(c, old[1])) == FINDINGS
    assert not await ledger.write(lambda c: audits.delete_old(c, before=before, limit=5))
    assert [row.seq for row in await ledger.read(lambda c: audits.list_newest(c, 10))] == [kept]
    assert await ledger.read(lambda c: audits.list_findings(c, kept)) == FINDINGS


def test_what_people_changed_needs_nobody() -> None:
    needs = {each.kind: each.needs_person for each in FINDINGS}
    assert needs == {FindingKind.UNKNOWN: False, FindingKind.DOUBLED: True, FindingKind.CHANGED: False}
