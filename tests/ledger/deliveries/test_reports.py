"""What people and the fold read of deliveries."""

from sqlalchemy import delete

from relay.instants import Instant
from relay.ledger import Ledger, deliveries, replays
from relay.ledger.states import DeliveryState
from relay.ledger.tables import deliveries as table
from tests.support.deliveries import delivered_update, enqueue, settle
from tests.support.samples import ODD_IDS


async def test_the_deliveries_of_one_call_are_listed_by_destination(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 2))
    found = await two_destinations.read(lambda c: deliveries.list_for_call(c, "b"))
    assert [(row.destination, row.call, row.version) for row in found] == [("crm", "b", 2), ("other", "b", 2)]
    await two_destinations.write(lambda c: c.execute(delete(table).where(table.c.destination == "crm")))
    await enqueue(two_destinations, ("b", 3))
    found = await two_destinations.read(lambda c: deliveries.list_for_call(c, "b"))
    assert [(row.destination, row.version) for row in found] == [("crm", 3), ("other", 3)]


async def test_the_states_of_calls_are_listed_by_destination(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1), ("c", 1))
    await settle(two_destinations, delivered_update("b"))
    states = await two_destinations.read(lambda c: deliveries.states_of_calls(c, ["b", "a", "absent"]))
    pending, delivered = DeliveryState.PENDING, DeliveryState.DELIVERED
    assert states == {
        "a": [("crm", pending), ("other", pending)],
        "b": [("crm", delivered), ("other", pending)],
    }


async def test_records_that_other_settings_rendered_are_counted_unless_a_replay_has_them(
    two_destinations: Ledger,
) -> None:
    renderings = {"new": "2", "old": "1", "unknown": None, "replayed": "1"}
    await enqueue(two_destinations, *((id_, 1) for id_ in renderings), ("pending", 1))
    updates = [delivered_update(id_, rendering=rendering) for id_, rendering in renderings.items()]
    await settle(two_destinations, *updates)
    await settle(two_destinations, delivered_update("old", rendering="1"), name="other")
    await two_destinations.write(
        lambda c: replays.enqueue(c, "crm", [("replayed", 1)], now=Instant(60), rewrite=True)
    )
    assert await two_destinations.read(lambda c: deliveries.count_other_renderings(c, "crm", "2")) == 2
    assert await two_destinations.read(lambda c: deliveries.count_other_renderings(c, "other", "2")) == 1


async def test_the_first_delivery_of_a_call_is_the_earliest_of_all_destinations(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1), ("not asked for", 1))
    await settle(two_destinations, delivered_update("a"), name="other", now=60)
    await settle(two_destinations, delivered_update("a"), delivered_update("not asked for"), now=70)
    assert await two_destinations.read(lambda c: deliveries.first_delivered_at(c, ["a", "b"])) == {"a": 60}


async def test_the_deliveries_of_some_calls_to_one_destination_are_found_by_call(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), *((id_, 2) for id_ in ODD_IDS), ("z", 3))
    await settle(two_destinations, delivered_update("a"), name="other")
    found = await two_destinations.read(lambda c: deliveries.get_many(c, "crm", ["a", *ODD_IDS, "unknown"]))
    assert {id_: (row.destination, row.version, row.state) for id_, row in found.items()} == {
        "a": ("crm", 1, DeliveryState.PENDING)
    } | dict.fromkeys(ODD_IDS, ("crm", 2, DeliveryState.PENDING))
    assert await two_destinations.read(lambda c: deliveries.get_many(c, "crm", [])) == {}
