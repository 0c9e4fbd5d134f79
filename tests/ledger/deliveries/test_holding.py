"""Deliveries that wait until their call is complete, and those that are left as the CRM has them."""

import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, deliveries, replays
from relay.ledger.deliveries import DeliveryCounts, Pick
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, due_ids, enqueue, get_delivery, settle, take_due

CALL = "cloudtalk-1"


async def hold(ledger: Ledger, *, until: int, version: int = 1, name: str = "crm") -> None:
    await ledger.write(lambda c: deliveries.hold(c, name, [(CALL, version, Instant(until))]))


async def keep(ledger: Ledger, *, version: int) -> None:
    await ledger.write(lambda c: deliveries.keep(c, "crm", [(CALL, version)]))


async def test_a_held_delivery_is_pending_and_due_at_the_end_of_its_wait(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    row = await get_delivery(two_destinations)
    assert (row.state, row.is_held) == (DeliveryState.PENDING, True)
    assert (row.due_at, row.not_before, row.pending_since) == (500, 500, 500)
    assert await due_ids(two_destinations, now=499) == []
    assert await due_ids(two_destinations, now=500) == [CALL]
    other = await get_delivery(two_destinations, name="other")
    assert (other.is_held, other.due_at) == (False, 10)


_FAILED = delivered_update(
    CALL,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=Instant(300),
    failing_for=Duration(40),
    not_before=Instant(200),
)


async def test_a_delivery_that_is_held_forgets_the_attempts_before(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, _FAILED)
    await hold(two_destinations, until=500)
    row = await get_delivery(two_destinations)
    assert (row.is_held, row.due_at, row.attempts, row.failing_for) == (True, 500, 0, 0)


async def test_a_record_that_is_kept_waits_no_longer(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, _FAILED)
    await keep(two_destinations, version=1)
    row = await get_delivery(two_destinations)
    assert (row.state, row.not_before) == (DeliveryState.DELIVERED, None)


@pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.FILTERED])
async def test_a_delivery_that_is_not_pending_is_neither_held_nor_kept(
    two_destinations: Ledger, state: DeliveryState
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, delivered_update(CALL, state=state))
    before = await get_delivery(two_destinations)
    await hold(two_destinations, until=500)
    await keep(two_destinations, version=1)
    assert await get_delivery(two_destinations) == before


async def test_a_newer_version_ends_the_wait(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    await enqueue(two_destinations, (CALL, 2), now=20)
    row = await get_delivery(two_destinations)
    assert (row.version, row.is_held) == (2, False)
    assert (row.due_at, row.not_before, row.pending_since, row.attempts) == (20, None, 20, 0)


async def test_a_version_that_was_enqueued_meanwhile_is_not_held(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 2))
    await hold(two_destinations, until=500, version=1)
    assert await due_ids(two_destinations, now=10) == [CALL]


async def test_a_wait_that_the_crm_asked_for_is_not_ended_by_a_newer_version(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    asked = delivered_update(
        state=DeliveryState.PENDING, delivered_version=0, due_at=Instant(500), not_before=Instant(400)
    )
    await settle(two_destinations, asked)
    await enqueue(two_destinations, (CALL, 2), now=60)
    row = await get_delivery(two_destinations)
    assert (row.version, row.is_held) == (2, False)
    assert (row.due_at, row.not_before, row.pending_since, row.attempts) == (500, 400, 10, 1)


async def test_no_probe_takes_a_held_delivery_and_no_recovery_ends_its_wait(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    assert await take_due(two_destinations, pick=Pick.PROBE, now=499) == []
    await two_destinations.write(lambda c: deliveries.end_backoff(c, "crm", now=Instant(100)))
    assert (await get_delivery(two_destinations)).due_at == 500


async def test_a_clock_that_is_set_back_ends_the_wait(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    await two_destinations.write(
        lambda c: deliveries.make_due_now(c, "crm", now=Instant(7), min_delay=Duration(100))
    )
    row = await get_delivery(two_destinations)
    assert (row.due_at, row.pending_since, row.is_held) == (7, 7, False)


async def test_the_waits_of_a_destination_end_at_once_and_no_other_ones(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1), ("cloudtalk-2", 1), ("cloudtalk-3", 1))
    await hold(two_destinations, until=500)
    await hold(two_destinations, until=500, name="other")
    asked = delivered_update(
        "cloudtalk-2", state=DeliveryState.PENDING, delivered_version=0, due_at=Instant(500)
    )
    await settle(two_destinations, asked)
    await two_destinations.write(lambda c: deliveries.end_waits(c, "crm", now=Instant(60)))
    row = await get_delivery(two_destinations)
    assert (row.due_at, row.pending_since, row.not_before, row.is_held) == (60, 60, None, False)
    assert (await get_delivery(two_destinations, name="other")).due_at == 500
    assert (await get_delivery(two_destinations, "cloudtalk-2")).due_at == 500
    waits_for_a_push = await get_delivery(two_destinations, "cloudtalk-3")
    assert (waits_for_a_push.due_at, waits_for_a_push.pending_since) == (10, 10)


async def test_a_wait_that_is_over_stays_as_it_was(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    await two_destinations.write(lambda c: deliveries.end_waits(c, "crm", now=Instant(500)))
    row = await get_delivery(two_destinations)
    assert (row.due_at, row.pending_since, row.is_held) == (500, 500, True)


async def test_a_delivery_shows_that_it_has_waited_in_this_version(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1), ("cloudtalk-2", 1))
    await hold(two_destinations, until=500)
    due = {each.call.id: each for each in await take_due(two_destinations, now=500)}
    assert {id_: each.has_waited for id_, each in due.items()} == {CALL: True, "cloudtalk-2": False}
    await enqueue(two_destinations, (CALL, 2), now=500)
    due = {each.call.id: each for each in await take_due(two_destinations, now=500)}
    assert due[CALL].has_waited is False


async def test_a_replay_makes_a_held_delivery_due(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await hold(two_destinations, until=500)
    await two_destinations.write(lambda c: replays.enqueue(c, "crm", [(CALL, 1)], now=Instant(30)))
    row = await get_delivery(two_destinations)
    assert (row.due_at, row.pending_since, row.is_held) == (30, 30, False)


async def test_held_deliveries_are_counted_and_are_pending_since_later(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1), ("cloudtalk-2", 1))
    await hold(two_destinations, until=500)
    counts = await two_destinations.read(deliveries.counts_by_destination)
    assert counts["crm"] == DeliveryCounts(pending=2, oldest_pending_since=Instant(10), held=1)
    await settle(two_destinations, delivered_update("cloudtalk-2"))
    counts = await two_destinations.read(deliveries.counts_by_destination)
    expected = DeliveryCounts(pending=1, delivered=1, oldest_pending_since=Instant(500), held=1)
    assert counts["crm"] == expected


async def test_a_record_that_is_kept_is_delivered_in_its_version(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, delivered_update(CALL, code="no_contact", message="two contacts"))
    before = await get_delivery(two_destinations)
    await enqueue(two_destinations, (CALL, 3), now=60)
    await keep(two_destinations, version=3)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.delivered_version) == (DeliveryState.DELIVERED, 3, 1)
    # The answer of the CRM stays, and the attempt that got it.
    assert (row.outcome, row.code, row.message) == (before.outcome, "no_contact", "two contacts")
    assert (row.attempted_at, row.remote_id) == (before.attempted_at, before.remote_id)
    assert await due_ids(two_destinations) == []


@pytest.mark.parametrize("change", ["version", "replay"])
async def test_what_changes_meanwhile_stays_pending(two_destinations: Ledger, change: str) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, delivered_update(CALL))
    await enqueue(two_destinations, (CALL, 2), now=60)
    if change == "version":
        await enqueue(two_destinations, (CALL, 3), now=70)
    else:
        await two_destinations.write(
            lambda c: replays.enqueue(c, "crm", [(CALL, 2)], now=Instant(70), rewrite=True)
        )
    await keep(two_destinations, version=2)
    assert (await get_delivery(two_destinations)).state is DeliveryState.PENDING
