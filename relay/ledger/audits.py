"""The results of audits, and what each found.

A finding names a call, so `relay forget` deletes it. Retention deletes audits with the attempts.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import audit_findings, audits

NIGHTLY: Final = "nightly audit"
"""`who` of the audit that a relay makes every night. Another one is by a person on the command line."""

MOST_FINDINGS: Final = 10_000
"""The most findings that are stored of one audit. The counts have all of them."""


class FindingKind(StrEnum):
    """What an audit found about a call. `destination` is empty for the first three."""

    UNKNOWN = "unknown"
    """CloudTalk's history has it, and the ledger had not."""
    INCOMPLETE = "incomplete"
    """CloudTalk's history has more about it than the ledger had."""
    ONLY_HERE = "only_here"
    """CloudTalk's history does not have it."""
    MISSING = "missing"
    REMOVED = "removed"
    OUTDATED = "outdated"
    DOUBLED = "doubled"
    LEFT_OVER = "left_over"
    CHANGED = "changed"


NEEDS_NOBODY: Final = frozenset({FindingKind.REMOVED, FindingKind.CHANGED, FindingKind.ONLY_HERE})
"""What people removed or changed in a CRM is theirs."""


class Finding(msgspec.Struct, frozen=True):
    """`details`: the fields that people changed, or the ids of the records in the CRM. `repaired`: the relay
    has done what is to be done, or will.
    """

    destination: str
    call: str
    kind: FindingKind
    repaired: bool = False
    details: list[str] = []

    @property
    def needs_person(self) -> bool:
        """Whether a person has to look at it."""
        return not self.repaired and self.kind not in NEEDS_NOBODY


class AuditRow(msgspec.Struct, frozen=True):
    """An audit that is finished. `who`: `NIGHTLY` or an actor, see `ActionRow`. `result`: JSON."""

    seq: int
    began_at: Instant
    finished_at: Instant
    who: str
    result: str


_row_columns = tuple(audits.c[name] for name in AuditRow.__struct_fields__)
_last_seq = select(func.max(audits.c.seq))
_add = insert(audits).values({column.name: bindparam(column.name) for column in _row_columns})
_finding_columns = (
    audit_findings.c.audit,
    audit_findings.c.number,
    *(audit_findings.c[name] for name in Finding.__struct_fields__),
)
_new_findings = rows_of(*_finding_columns)
_add_findings = insert(audit_findings).from_select(
    [column.name for column in _finding_columns], select(_new_findings)
)


def add(
    connection: Connection,
    findings: Iterable[Finding],
    *,
    began_at: Instant,
    finished_at: Instant,
    who: str,
    result: str,
) -> int:
    """Store an audit with up to `MOST_FINDINGS` of its findings, and return its number."""
    advisory_lock(connection, "audits")
    seq = int(connection.execute(_last_seq).scalar() or 0) + 1
    row = AuditRow(seq, began_at, finished_at, who, result)
    connection.execute(_add, msgspec.structs.asdict(row))
    rows = [
        (seq, number, each.destination, each.call, each.kind, each.repaired, _encode(each.details))
        for number, each in enumerate(findings)
        if number < MOST_FINDINGS
    ]
    connection.execute(_add_findings, bound(rows))
    return seq


_newest = select(*_row_columns).order_by(audits.c.seq.desc()).limit(bindparam("limit"))
_newest_nightly = select(*_row_columns).where(audits.c.who == NIGHTLY).order_by(audits.c.seq.desc()).limit(1)
_by_seq = select(*_row_columns).where(audits.c.seq == bindparam("seq"))
_findings = (
    select(*(audit_findings.c[name] for name in Finding.__struct_fields__))
    .where(audit_findings.c.audit == bindparam("seq"))
    .order_by(audit_findings.c.number)
    .limit(bindparam("limit"))
)


def list_newest(connection: Connection, limit: int) -> list[AuditRow]:
    """Return the newest audits, the newest first."""
    return [AuditRow(*row) for row in connection.execute(_newest, {"limit": limit})]


def get(connection: Connection, seq: int) -> AuditRow | None:
    """Return the audit of this number."""
    row = connection.execute(_by_seq, {"seq": seq}).one_or_none()
    return None if row is None else AuditRow(*row)


def newest_nightly(connection: Connection) -> AuditRow | None:
    """Return the newest audit that a relay made by itself."""
    row = connection.execute(_newest_nightly).one_or_none()
    return None if row is None else AuditRow(*row)


def list_findings(connection: Connection, seq: int, *, limit: int = MOST_FINDINGS) -> list[Finding]:
    """Return what this audit found, apart from calls that were forgotten since."""
    found = connection.execute(_findings, {"seq": seq, "limit": limit})
    return [_finding(row) for row in found]


def _finding(row: Sequence[Any]) -> Finding:
    destination, call, kind, repaired, details = row
    return Finding(destination, call, FindingKind(kind), bool(repaired), _decode(details))


_old = (
    select(audits.c.seq)
    .where(audits.c.finished_at < bindparam("before"))
    .order_by(audits.c.seq)
    .limit(bindparam("limit"))
)
_seqs = rows_of(audits.c.seq)
_delete_findings = delete(audit_findings).where(audit_findings.c.audit.in_(select(_seqs.c.seq)))
_delete = delete(audits).where(audits.c.seq.in_(select(_seqs.c.seq)))


def delete_old(connection: Connection, *, before: Instant, limit: int) -> bool:
    """Delete up to `limit` audits that finished before an instant. Return whether there may be more."""
    old = connection.execute(_old, {"before": before, "limit": limit}).scalars()
    for statement in (_delete_findings, _delete):
        connection.execute(statement, bound((seq,) for seq in old))
    return len(old) == limit


def _encode(details: list[str]) -> str:
    return msgspec.json.encode(details).decode()


_decode = msgspec.json.Decoder(list[str]).decode
