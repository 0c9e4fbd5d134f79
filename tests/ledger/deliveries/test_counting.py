"""How many deliveries each destination has in each state."""

from sqlalchemy import delete, update

from relay.instants import Instant
from relay.ledger import Ledger, deliveries
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls
from relay.ledger.tables import deliveries as table
from tests.support.deliveries import delivered_update, enqueue, settle


async def test_the_deliveries_of_each_destination_are_counted_by_state(two_destinations: Ledger) -> None:
    for now, call in enumerate("abcd", 1):
        await enqueue(two_destinations, (call, 1), now=now)
    await settle(two_destinations, delivered_update("a"), delivered_update("b", state=DeliveryState.DEAD))
    assert await two_destinations.read(deliveries.counts_by_destination) == {
        "crm": DeliveryCounts(pending=2, delivered=1, dead=1, oldest_pending_since=Instant(3)),
        "other": DeliveryCounts(pending=4, delivered=0, dead=0, oldest_pending_since=Instant(1)),
    }


async def test_the_pending_deliveries_that_are_held_are_counted(two_destinations: Ledger) -> None:
    for call in "abc":
        await enqueue(two_destinations, (call, 1))
    held = [("a", 1, Instant(20)), ("c", 1, Instant(30))]
    await two_destinations.write(lambda c: deliveries.hold(c, "crm", held))
    assert await two_destinations.read(deliveries.counts_by_destination) == {
        "crm": DeliveryCounts(pending=3, oldest_pending_since=Instant(10), held=2),
        "other": DeliveryCounts(pending=3, oldest_pending_since=Instant(10), held=0),
    }


async def test_a_destination_without_pending_deliveries_has_no_oldest(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1))
    await two_destinations.write(lambda c: c.execute(update(table).values(state=DeliveryState.DELIVERED)))
    assert (await two_destinations.read(deliveries.counts_by_destination))["crm"] == DeliveryCounts(
        pending=0, delivered=1, dead=0, oldest_pending_since=None
    )


def test_a_destination_without_deliveries_has_none_in_any_state() -> None:
    assert DeliveryCounts() == DeliveryCounts(pending=0, delivered=0, dead=0, oldest_pending_since=None)


async def test_deliveries_of_calls_that_are_gone_are_not_counted(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("gone", 1), ("here", 1))
    for name in ("crm", "other"):
        await settle(two_destinations, delivered_update("gone"), delivered_update("here"), name=name)
    await two_destinations.write(lambda c: c.execute(delete(calls).where(calls.c.id == "gone")))
    assert await two_destinations.read(deliveries.counts_by_destination) == {
        "crm": DeliveryCounts(delivered=1),
        "other": DeliveryCounts(delivered=1),
    }
    assert await two_destinations.read(lambda c: deliveries.count_other_renderings(c, "crm", "new")) == 1


async def test_the_delivered_ones_are_as_they_were_counted_before(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, delivered_update("a"))
    before = await two_destinations.read(deliveries.count_delivered)
    assert before == {"crm": 1}
    await settle(two_destinations, delivered_update("b"))
    counts = await two_destinations.read(lambda c: deliveries.counts_by_destination(c, before))
    assert counts == {
        "crm": DeliveryCounts(delivered=1),
        "other": DeliveryCounts(pending=2, oldest_pending_since=Instant(10)),
    }
