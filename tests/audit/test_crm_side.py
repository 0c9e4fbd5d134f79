"""A range of calls beside the records of one CRM."""

import pytest

from crm_clients.base import Split, Stored, Throttled, Unauthorised
from crm_clients.settings import DestinationSettings
from relay.audit import reading
from relay.audit.crm_side import CrmAudit
from relay.audit.report import CrmSide, Reading
from relay.delivery.replay import Replay
from relay.ledger import Ledger, actions, destinations
from relay.ledger.audits import Finding, FindingKind
from relay.ledger.destinations import Pause
from relay.ledger.states import DeliveryState
from tests.support.auditing import ReadableCrm, deliver
from tests.support.deliveries import delivered_update, enqueue, get_delivery, settle, write_calls

SETTINGS = DestinationSettings(client="fake", batch=2)


@pytest.fixture
def crm() -> ReadableCrm:
    return ReadableCrm()


async def audit(
    ledger: Ledger,
    crm: ReadableCrm,
    *ids: str,
    settings: DestinationSettings = SETTINGS,
    repairs: bool = True,
) -> CrmAudit:
    made = CrmAudit(ledger, crm, settings, forward_internal=False, repairs=repairs, who="test")
    await made.compare(ids)
    return made


async def states(ledger: Ledger, *ids: str) -> list[DeliveryState]:
    return [(await get_delivery(ledger, id_)).state for id_ in ids]


async def test_a_crm_that_has_everything(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b", "c")
    made = await audit(ledger, crm, "a", "b", "c")
    assert made.side == CrmSide(calls=3, records=3, right=3)
    assert made.findings == []
    assert crm.read_ids == [["a", "b"], ["c"]]
    assert await states(ledger, "a", "b", "c") == [DeliveryState.DELIVERED] * 3


async def test_what_was_lost_is_pending_again_and_the_rest_is_named(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b", "c", "d", "e", version=2)
    del crm.records["a"]
    crm.records["b"] = [Stored("r-b", 1)]
    crm.records["c"].append(Stored("copy", 2))
    crm.records["d"] = [Stored("r-d", 2, frozenset({"notes"}))]
    made = await audit(ledger, crm, "a", "b", "c", "d", "e")
    assert made.side == CrmSide(
        calls=5, records=5, missing=1, outdated=1, doubled=1, other_settings=1, right=1, repaired=2
    )
    assert made.side.for_person == 1
    assert made.findings == [
        Finding("crm", "a", FindingKind.MISSING, repaired=True),
        Finding("crm", "b", FindingKind.OUTDATED, repaired=True, details=["r-b"]),
        Finding("crm", "c", FindingKind.DOUBLED, details=["r-c", "copy"]),
    ]
    pending, delivered = [DeliveryState.PENDING] * 2, [DeliveryState.DELIVERED] * 3
    assert await states(ledger, "a", "b", "c", "d", "e") == pending + delivered
    noted = await ledger.read(lambda c: actions.list_for_calls(c, ["a", "c"], [], since=ledger.now()))
    assert [(row.call, row.action, row.who) for row in noted] == [("a", "delivery.audit", "test")]
    again = await audit(ledger, crm, "a", "b", "c", "d", "e")
    assert (again.side.missing, again.side.outdated, again.side.pending, again.side.repaired) == (0, 0, 2, 0)


async def redeliver(ledger: Ledger, crm: ReadableCrm, *ids: str) -> None:
    """Deliver these calls, which are pending, in the version that they have."""
    await settle(ledger, *(delivered_update(id_, remote_id=f"r-{id_}") for id_ in ids))
    crm.records |= {id_: [Stored(f"r-{id_}", 1)] for id_ in ids}


async def test_what_is_missing_again_was_removed_by_a_person(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b")
    crm.records.clear()
    assert (await audit(ledger, crm, "a", "b")).side.repaired == 2
    await redeliver(ledger, crm, "a", "b")
    del crm.records["a"]
    for repairs in (True, False, True):  # night after night
        made = await audit(ledger, crm, "a", "b", repairs=repairs)
        assert made.side == CrmSide(calls=2, records=1, right=1, removed=1)
        assert made.findings == [Finding("crm", "a", FindingKind.REMOVED)]
        assert (made.side.for_person, made.findings[0].needs_person) == (0, False)
    assert await states(ledger, "a", "b") == [DeliveryState.DELIVERED] * 2


async def test_a_replay_by_a_person_brings_a_removed_record_back(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    crm.records.clear()
    await audit(ledger, crm, "a")
    await redeliver(ledger, crm, "a")
    crm.records.clear()
    assert (await audit(ledger, crm, "a")).side.removed == 1
    await Replay(ledger, {"crm": SETTINGS}, forward_internal=False).replay_calls({"a"})
    assert await states(ledger, "a") == [DeliveryState.PENDING]
    await redeliver(ledger, crm, "a")
    crm.records.clear()
    assert (await audit(ledger, crm, "a")).side.missing == 1  # after the replay it may be lost again


async def test_an_outdated_record_was_not_lost(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    crm.records["a"] = [Stored("r-a", 7)]
    assert (await audit(ledger, crm, "a")).side.outdated == 1
    await redeliver(ledger, crm, "a")
    crm.records.clear()
    assert (await audit(ledger, crm, "a")).side.missing == 1


async def test_an_audit_without_repairs_restores_nothing(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    crm.records.clear()
    for repairs in (False, False, True):
        assert (await audit(ledger, crm, "a", repairs=repairs)).side.missing == 1


async def test_without_repairs_the_same_is_named_and_nothing_is_written(
    ledger: Ledger, crm: ReadableCrm
) -> None:
    await deliver(ledger, crm, "a")
    crm.records.clear()
    made = await audit(ledger, crm, "a", repairs=False)
    assert made.findings == [Finding("crm", "a", FindingKind.MISSING)]
    assert (made.side.repaired, made.side.for_person) == (0, 1)
    assert await states(ledger, "a") == [DeliveryState.DELIVERED]


async def test_what_people_changed_is_listed_and_stays(ledger: Ledger, crm: ReadableCrm) -> None:
    await enqueue(ledger, ("a", 1))
    await settle(ledger, delivered_update("a", rendering=SETTINGS.rendering))
    crm.records = {"a": [Stored("r", 1, frozenset({"notes", "tags"}))]}
    made = await audit(ledger, crm, "a")
    assert made.findings == [Finding("crm", "a", FindingKind.CHANGED, details=["notes", "tags"])]
    assert (made.side.changed, made.side.for_person) == (1, 0)
    assert await states(ledger, "a") == [DeliveryState.DELIVERED]


async def test_a_record_of_another_call_of_the_ledger_is_no_double(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b")
    crm.records["a"] += crm.records["b"]
    made = await audit(ledger, crm, "a", "b")
    assert (made.side.doubled, made.side.right, made.side.records) == (0, 2, 2)


async def test_a_call_that_changes_meanwhile_is_read_again(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b")

    async def deliver_the_next_version() -> None:
        await deliver(ledger, crm, "a", version=2)

    crm.records["a"] = [Stored("r-a", 2)]  # as the push wrote it, before it was settled
    crm.answers = [deliver_the_next_version]
    made = await audit(ledger, crm, "a", "b")
    assert made.side == CrmSide(calls=2, records=2, right=2)
    assert crm.read_ids == [["a", "b"], ["a"]]


async def test_a_call_that_never_rests_is_counted_and_not_reported(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    versions = iter(range(2, 9))

    async def change() -> None:
        await write_calls(ledger, ("a", next(versions)))

    crm.answers = [change] * 9
    made = await audit(ledger, crm, "a")
    assert made.side == CrmSide(calls=1, changing=1)
    assert (len(crm.read_ids), made.findings) == (3, [])


async def test_a_client_that_cannot_read(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    crm.answers = [None]
    assert (await audit(ledger, crm, "a")).side == CrmSide(Reading.NO_READING)


async def test_a_crm_that_refuses_is_read_no_further(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b", "c", "d", "e")
    read = {"a": crm.records["a"], "b": crm.records["b"]}
    crm.answers = [read, Unauthorised(code="401", message="wrong key")]
    made = await audit(ledger, crm, "a", "b", "c", "d", "e")
    assert made.side.reading is Reading.FAILED
    assert made.side.problem == "unauthorised (401): wrong key"
    assert (made.side.calls, made.side.missing, len(crm.read_ids)) == (2, 0, 2)


async def test_a_client_with_a_bug_is_a_crm_that_cannot_be_read(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")

    async def fail() -> None:
        raise RuntimeError("a bug")

    crm.answers = [fail]
    assert (await audit(ledger, crm, "a")).side.problem == "RuntimeError('a bug')"


@pytest.mark.parametrize("reason", ["paused", "unauthorised"])
async def test_a_paused_destination_is_not_read(ledger: Ledger, crm: ReadableCrm, reason: str) -> None:
    await deliver(ledger, crm, "a")
    if reason == "paused":
        await ledger.write(lambda c: destinations.pause(c, "crm", now=ledger.now()))
    else:
        pause, now = Pause(reason, 60, None, None), ledger.now()
        await ledger.write(lambda c: destinations.pause_until(c, "crm", pause, until=now, now=now))
    made = await audit(ledger, crm, "a")
    assert made.side == CrmSide(Reading.PAUSED, reason)
    assert crm.read_ids == []


async def test_a_disabled_destination_is_not_read(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a")
    disabled = DestinationSettings(client="fake", enabled=False)
    assert (await audit(ledger, crm, "a", settings=disabled)).side == CrmSide(Reading.DISABLED)
    assert crm.read_ids == []


# --- reading ------------------------------------------------------------------------------------


async def test_a_passing_failure_is_tried_again_after_the_wait_that_the_crm_asks_for(
    crm: ReadableCrm,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    crm.answers = [Throttled(after=30), Throttled(after=9_999), Throttled(), Throttled()]
    found = await reading.read_records(crm, [], timeout_seconds=30, sleep=sleep)
    assert (found, slept) == ({}, [30, 60, 8, 16])
    crm.answers = [Throttled(message="too many")] * 5
    with pytest.raises(reading.ReadFailed, match="throttled: too many"):
        await reading.read_records(crm, [], timeout_seconds=30, sleep=sleep)


async def test_a_batch_that_is_too_large_is_read_in_halves(ledger: Ledger, crm: ReadableCrm) -> None:
    await deliver(ledger, crm, "a", "b")
    crm.answers = [Split()]
    made = await audit(ledger, crm, "a", "b")
    assert (made.side.right, crm.read_ids) == (2, [["a", "b"], ["a"], ["b"]])
