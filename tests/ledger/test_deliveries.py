"""What each destination is owed: one mark a call, the newest version, and no schedule lost."""

from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, update

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, deliveries, destinations
from relay.ledger.calls import CallRow
from relay.ledger.deliveries import DeliveryCounts, DeliveryRow, DeliveryUpdate, DueDelivery, Pick
from relay.ledger.states import DeliveryState
from relay.ledger.tables import deliveries as table
from tests.support.samples import ODD_IDS, make_call_row

CALL = "cloudtalk-1"
DELIVERED = DeliveryUpdate(
    call=CALL,
    version=1,
    state=DeliveryState.DELIVERED,
    delivered_version=1,
    due_at=Instant(50),
    attempts=1,
    attempted_at=Instant(50),
    failing_for=Duration(0),
    remote_id="r1",
    outcome="delivered",
    code=None,
    message=None,
)
FAILED = msgspec.structs.replace(
    DELIVERED,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=500,
    attempts=3,
    failing_for=40,
    remote_id=None,
    outcome="retry",
    code="503",
    message="it's down",
)
DEAD = msgspec.structs.replace(FAILED, state=DeliveryState.DEAD, due_at=50, outcome="rejected", code="22P05")


@pytest.fixture
async def owing(ledger: Ledger) -> Ledger:
    """A ledger with the destinations `crm` and `other`."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    return ledger


async def mark(ledger: Ledger, *versions: tuple[str, int], now: int = 10) -> None:
    """As the fold does: the newest version of each call, and the marks for it."""

    def write(connection: Connection) -> None:
        known = calls.get_many(connection, [call for call, _ in versions])
        rows = [make_call_row(call, version) for call, version in versions]
        new, moved = _parted(rows, known)
        calls.write(connection, new, moved)
        deliveries.enqueue(connection, versions, now=Instant(now))

    await ledger.write(write)


def _parted(rows: list[CallRow], known: Collection[str]) -> tuple[list[CallRow], list[CallRow]]:
    return [row for row in rows if row.id not in known], [row for row in rows if row.id in known]


async def settle(ledger: Ledger, *settlements: DeliveryUpdate, now: int = 50) -> None:
    await ledger.write(lambda c: deliveries.settle(c, "crm", settlements, now=Instant(now)))


async def due(
    ledger: Ledger,
    name: str = "crm",
    turn: Pick = Pick.OLDEST,
    *,
    now: int = 1_000,
    busy: Collection[str] = (),
    limit: int = 100,
) -> list[DueDelivery]:
    return await ledger.read(
        lambda c: deliveries.take_due(c, name, turn, busy=busy, now=Instant(now), limit=limit)
    )


async def due_ids(ledger: Ledger, name: str = "crm", **given: Any) -> list[str]:
    return [found.call.id for found in await due(ledger, name, **given)]


async def delivery(ledger: Ledger, call: str = CALL, name: str = "crm") -> DeliveryRow:
    rows = await ledger.read(lambda c: deliveries.list_for_call(c, call))
    (row,) = [row for row in rows if row.destination == name]
    return row


# --- marking --------------------------------------------------------------------------------------


async def test_every_destination_is_owed_a_call(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    rows = await owing.read(lambda c: deliveries.list_for_call(c, CALL))
    assert [(row.destination, row.state, row.version, row.delivered_version) for row in rows] == [
        ("crm", "pending", 1, 0),
        ("other", "pending", 1, 0),
    ]
    assert {(row.pending_since, row.due_at, row.attempts, row.failing_for) for row in rows} == {
        (10, 10, 0, 0)
    }


async def test_without_a_destination_nothing_is_owed(ledger: Ledger) -> None:
    await mark(ledger, (CALL, 1))
    assert await ledger.read(lambda c: deliveries.list_for_call(c, CALL)) == []


async def test_many_events_of_a_call_are_one_mark(owing: Ledger) -> None:
    for version in range(1, 11):
        await mark(owing, (CALL, version))
    (mark_due,) = await due(owing)
    assert mark_due.call.version == 10
    assert (await delivery(owing)).version == 10


async def test_a_newer_version_leaves_a_call_in_its_back_off(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, FAILED)
    await mark(owing, (CALL, 2), now=60)
    row = await delivery(owing)
    assert (row.state, row.version, row.pending_since) == ("pending", 2, 10)
    assert (row.due_at, row.attempts, row.failing_for) == (500, 3, 40)


async def test_a_newer_version_of_a_dead_call_is_owed_afresh(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, DEAD)
    await mark(owing, (CALL, 2), now=60)
    row = await delivery(owing)
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 2, 60, 60)
    assert (row.attempts, row.failing_for) == (0, 0)


async def test_a_newer_version_of_a_delivered_call_is_owed_afresh(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, DELIVERED)
    await mark(owing, (CALL, 2), now=60)
    row = await delivery(owing)
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 2, 60, 60)
    assert (row.attempts, row.failing_for) == (0, 0)
    assert (row.delivered_version, row.remote_id) == (1, "r1")


async def test_new_and_known_calls_are_marked_together_and_others_left_alone(owing: Ledger) -> None:
    await mark(owing, ("a", 1), ("b", 1))
    await mark(owing, ("b", 2), ("c", 1), now=20)
    rows = [await delivery(owing, call) for call in "abc"]
    assert [(row.version, row.pending_since) for row in rows] == [(1, 10), (2, 10), (1, 20)]


async def test_marking_nothing_marks_nothing(owing: Ledger) -> None:
    await mark(owing)
    assert await owing.read(deliveries.counts_by_destination) == {}


async def test_a_new_destination_owes_calls_from_then_on(owing: Ledger) -> None:
    await mark(owing, ("a", 1), ("b", 1))
    await owing.write(lambda c: destinations.register(c, {"late": "local"}))
    assert await due_ids(owing, "late") == []
    await mark(owing, ("b", 2), ("c", 1))
    assert sorted(await due_ids(owing, "late")) == ["b", "c"]


async def test_marks_of_every_odd_id_are_told_apart(owing: Ledger) -> None:
    await mark(owing, *((odd, 1) for odd in ODD_IDS))
    await mark(owing, *((odd, 2) for odd in ODD_IDS))
    assert sorted(await due_ids(owing)) == sorted(ODD_IDS)
    settled = [msgspec.structs.replace(DELIVERED, call=odd, version=2, remote_id=odd) for odd in ODD_IDS]
    await settle(owing, *settled)
    assert [(await delivery(owing, odd)).remote_id for odd in ODD_IDS] == ODD_IDS
    assert await due_ids(owing) == []


# --- taking ---------------------------------------------------------------------------------------


async def test_a_due_mark_comes_with_all_that_a_push_needs(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, msgspec.structs.replace(FAILED, remote_id="r1", delivered_version=1))
    row = make_call_row(CALL, 2, notes="newest")
    await owing.write(lambda c: calls.write(c, [], [row]))
    assert await due(owing) == [
        DueDelivery(
            call=row.record,
            field_versions={"notes": 2},
            delivered_version=1,
            attempts=3,
            attempted_at=Instant(50),
            failing_for=Duration(40),
            remote_id="r1",
            outcome="retry",
        )
    ]


async def test_what_is_not_due_yet_is_not_taken(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, FAILED)
    assert await due_ids(owing, now=499) == []
    assert await due_ids(owing, now=500) == [CALL]


async def test_the_longest_due_is_taken_first_and_no_more_than_asked_for(owing: Ledger) -> None:
    for call, now in (("b", 3), ("a", 1), ("c", 2), ("d", 4)):
        await mark(owing, (call, 1), now=now)
    assert await due_ids(owing) == ["a", "c", "b", "d"]
    assert await due_ids(owing, limit=2) == ["a", "c"]


async def test_what_is_under_way_is_not_taken_again(owing: Ledger) -> None:
    await mark(owing, *((odd, 1) for odd in ODD_IDS))
    busy = set(ODD_IDS[1:])
    assert await due_ids(owing, busy=busy) == [ODD_IDS[0]]
    assert sorted(await due_ids(owing, "other")) == sorted(ODD_IDS)


@pytest.mark.parametrize("settlement", [DELIVERED, DEAD], ids=["delivered", "dead"])
async def test_what_is_delivered_or_dead_is_not_taken(owing: Ledger, settlement: DeliveryUpdate) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, settlement)
    assert await due_ids(owing) == []
    assert await owing.read(lambda c: deliveries.next_due_at(c, "crm")) is None


async def test_the_next_due_is_the_soonest_of_this_destination(owing: Ledger) -> None:
    await mark(owing, ("a", 1), ("b", 1))
    await settle(
        owing,
        msgspec.structs.replace(FAILED, call="a", due_at=300),
        msgspec.structs.replace(FAILED, call="b", due_at=200),
    )
    assert await owing.read(lambda c: deliveries.next_due_at(c, "crm")) == 200
    assert await owing.read(lambda c: deliveries.next_due_at(c, "other")) == 10
    assert await owing.read(lambda c: deliveries.next_due_at(c, "unknown")) is None


# --- settling -------------------------------------------------------------------------------------


async def test_a_delivered_call_is_owed_no_more_and_says_what_the_crm_has(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, DELIVERED)
    row = await delivery(owing)
    assert {name: getattr(row, name) for name in DeliveryUpdate.__struct_fields__} == msgspec.structs.asdict(
        DELIVERED
    )
    assert (await owing.read(lambda c: destinations.get(c, "crm"))).delivered_at == 50


async def test_a_settlement_is_of_one_destination(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, DELIVERED)
    assert (await delivery(owing, name="other")).state == "pending"
    assert (await owing.read(lambda c: destinations.get(c, "other"))).delivered_at is None


async def test_a_failed_attempt_is_written_with_its_reason(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing, FAILED)
    row = await delivery(owing)
    assert (row.state, row.due_at, row.attempts, row.failing_for) == ("pending", 500, 3, 40)
    assert (row.outcome, row.code, row.message, row.pending_since) == ("retry", "503", "it's down", 10)
    assert (await owing.read(lambda c: destinations.get(c, "crm"))).delivered_at is None


@pytest.mark.parametrize("settlement", [DELIVERED, DEAD], ids=["delivered", "dead"])
async def test_what_moved_on_meanwhile_is_owed_afresh(owing: Ledger, settlement: DeliveryUpdate) -> None:
    await mark(owing, (CALL, 1))
    await mark(owing, (CALL, 2), now=40)
    await settle(owing, settlement)
    row = await delivery(owing)
    assert (row.state, row.version, row.delivered_version) == ("pending", 2, settlement.delivered_version)
    assert (row.due_at, row.pending_since, row.attempts, row.failing_for) == (50, 50, 0, 0)
    assert row.outcome == settlement.outcome


async def test_what_moved_on_while_it_failed_stays_in_its_back_off(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await mark(owing, (CALL, 2), now=40)
    await settle(owing, FAILED)
    row = await delivery(owing)
    assert (row.state, row.version, row.due_at, row.attempts, row.failing_for) == ("pending", 2, 500, 3, 40)
    assert row.pending_since == 10


async def test_many_are_settled_at_once_each_its_own_way(owing: Ledger) -> None:
    await mark(owing, ("a", 1), ("b", 1), ("c", 1), ("d", 1))
    await settle(
        owing,
        msgspec.structs.replace(DEAD, call="c"),
        msgspec.structs.replace(DELIVERED, call="a"),
        msgspec.structs.replace(FAILED, call="b"),
    )
    assert [(await delivery(owing, call)).state for call in "abcd"] == [
        "delivered",
        "pending",
        "dead",
        "pending",
    ]


async def test_settling_nothing_changes_nothing(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await settle(owing)
    assert (await delivery(owing)).state == "pending"


# --- looking --------------------------------------------------------------------------------------


async def test_each_destination_is_tallied_by_state_with_its_oldest_pending(owing: Ledger) -> None:
    for now, call in enumerate("abcd", 1):
        await mark(owing, (call, 1), now=now)
    await settle(owing, msgspec.structs.replace(DELIVERED, call="a"), msgspec.structs.replace(DEAD, call="b"))
    assert await owing.read(deliveries.counts_by_destination) == {
        "crm": DeliveryCounts(pending=2, delivered=1, dead=1, oldest_pending_since=Instant(3)),
        "other": DeliveryCounts(pending=4, delivered=0, dead=0, oldest_pending_since=Instant(1)),
    }


async def test_a_destination_that_owes_nothing_has_no_oldest(owing: Ledger) -> None:
    await mark(owing, (CALL, 1))
    await owing.write(lambda c: c.execute(update(table).values(state=DeliveryState.DELIVERED)))
    assert (await owing.read(deliveries.counts_by_destination))["crm"] == DeliveryCounts(delivered=1)
