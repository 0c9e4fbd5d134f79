"""A new version of a call makes one delivery for each destination pending."""

from functools import partial
from unittest.mock import Mock

import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, deliveries, destinations, tombstones
from relay.ledger.deliveries import enqueueing
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, due_ids, enqueue, get_delivery, settle, take_due
from tests.support.samples import ODD_IDS

CALL = "cloudtalk-1"
DELIVERED = delivered_update(CALL, attempted_at=Instant(50), remote_id="r1")
FAILED = delivered_update(
    CALL,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=Instant(500),
    attempts=3,
    failing_for=Duration(40),
    outcome="retry",
)
DEAD = delivered_update(
    CALL, state=DeliveryState.DEAD, delivered_version=0, attempts=3, failing_for=Duration(40)
)


async def test_a_call_is_pending_at_every_destination(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    rows = await two_destinations.read(lambda c: deliveries.list_for_call(c, CALL))
    assert [(row.destination, row.state, row.version, row.delivered_version) for row in rows] == [
        ("crm", "pending", 1, 0),
        ("other", "pending", 1, 0),
    ]
    assert {(row.pending_since, row.due_at, row.attempts, row.failing_for) for row in rows} == {
        (10, 10, 0, 0)
    }


async def test_without_a_destination_there_is_no_delivery(ledger: Ledger) -> None:
    await enqueue(ledger, (CALL, 1))
    assert await ledger.read(lambda c: deliveries.list_for_call(c, CALL)) == []


async def test_many_versions_of_a_call_are_one_delivery(two_destinations: Ledger) -> None:
    for version in range(1, 11):
        await enqueue(two_destinations, (CALL, version))
    (due,) = await take_due(two_destinations)
    assert due.call.version == 10
    assert (await get_delivery(two_destinations)).version == 10


async def test_a_newer_version_leaves_the_backoff_of_a_call_as_it_is(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, FAILED)
    await enqueue(two_destinations, (CALL, 2), now=60)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.pending_since) == ("pending", 2, 10)
    assert (row.due_at, row.attempts, row.failing_for) == (500, 3, 40)


async def test_a_newer_version_of_a_dead_call_has_a_new_schedule(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, DEAD)
    await enqueue(two_destinations, (CALL, 2), now=60)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 2, 60, 60)
    assert (row.attempts, row.failing_for) == (0, 0)


async def test_a_newer_version_of_a_delivered_call_has_a_new_schedule(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, DELIVERED)
    await enqueue(two_destinations, (CALL, 2), now=60)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 2, 60, 60)
    assert (row.attempts, row.failing_for) == (0, 0)
    assert (row.delivered_version, row.remote_id) == (1, "r1")


async def test_new_and_known_calls_are_enqueued_together_and_others_unchanged(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await enqueue(two_destinations, ("b", 2), ("c", 1), now=20)
    rows = [await get_delivery(two_destinations, call) for call in "abc"]
    assert [(row.version, row.pending_since) for row in rows] == [(1, 10), (2, 10), (1, 20)]


async def test_enqueueing_no_call_makes_no_delivery(two_destinations: Ledger) -> None:
    await enqueue(two_destinations)
    assert await two_destinations.read(deliveries.counts_by_destination) == {}


@pytest.mark.parametrize(("versions", "notified"), [([(CALL, 1), ("b", 1)], 1), ([], 0)])
async def test_other_processes_are_woken_once_for_all_calls(
    two_destinations: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    versions: list[tuple[str, int]],
    notified: int,
) -> None:
    notify = Mock()
    monkeypatch.setattr(enqueueing, "notify", notify)
    await two_destinations.write(partial(deliveries.enqueue, versions=versions, now=Instant(10)))
    assert notify.call_count == notified


async def test_a_deleted_call_is_pending_only_where_the_crm_has_it(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1), ("b", 1))
    await two_destinations.write(lambda c: destinations.register(c, {"late": "local"}))
    await two_destinations.write(lambda c: tombstones.add(c, [CALL], now=Instant(5)))
    await enqueue(two_destinations, (CALL, 2), ("b", 2), now=60)

    async def pending_at(call: str) -> list[tuple[str, int]]:
        rows = await two_destinations.read(lambda c: deliveries.list_for_call(c, call))
        return [(row.destination, row.version) for row in rows]

    assert await pending_at(CALL) == [("crm", 2), ("other", 2)]
    assert await pending_at("b") == [("crm", 2), ("late", 2), ("other", 2)]


async def test_a_new_destination_receives_calls_from_then_on(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await two_destinations.write(lambda c: destinations.register(c, {"late": "local"}))
    assert await due_ids(two_destinations, "late") == []
    await enqueue(two_destinations, ("b", 2), ("c", 1))
    assert sorted(await due_ids(two_destinations, "late")) == ["b", "c"]


async def test_deliveries_of_odd_ids_are_distinct(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, *((odd, 1) for odd in ODD_IDS))
    await enqueue(two_destinations, *((odd, 2) for odd in ODD_IDS))
    assert sorted(await due_ids(two_destinations)) == sorted(ODD_IDS)
    await settle(two_destinations, *(delivered_update(odd, version=2, remote_id=odd) for odd in ODD_IDS))
    assert [(await get_delivery(two_destinations, odd)).remote_id for odd in ODD_IDS] == ODD_IDS
    assert await due_ids(two_destinations) == []
