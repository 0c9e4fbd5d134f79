"""Dead letters by destination, outcome and code."""

import msgspec
import pytest

from relay.instants import Instant
from relay.ledger import Ledger, dead_letters
from relay.ledger.dead_letters import Group, GroupCount
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, enqueue, get_delivery, settle

DEAD = delivered_update(
    state=DeliveryState.DEAD, delivered_version=0, outcome="rejected", code="22P05", message="no"
)
LONG = Group("crm", "rejected", "22P05")
NO_CODE = Group("crm", "retry", None)


@pytest.fixture
async def filled(two_destinations: Ledger) -> Ledger:
    """Two dead letters with a code, one without, one at another destination, and one that is pending."""
    ledger = two_destinations
    await enqueue(ledger, *((f"cloudtalk-{number}", 1) for number in range(1, 5)))
    of_call = {number: msgspec.structs.replace(DEAD, call=f"cloudtalk-{number}") for number in range(1, 4)}
    await settle(
        ledger,
        msgspec.structs.replace(of_call[1], attempted_at=Instant(10)),
        msgspec.structs.replace(of_call[2], attempted_at=Instant(20)),
        msgspec.structs.replace(of_call[3], outcome="retry", code=None, attempted_at=Instant(30)),
    )
    await settle(ledger, msgspec.structs.replace(of_call[1], attempted_at=Instant(5)), name="other")
    return ledger


async def states(ledger: Ledger) -> list[str]:
    names = [("crm", number) for number in range(1, 5)] + [("other", 1)]
    return [(await get_delivery(ledger, f"cloudtalk-{number}", name)).state for name, number in names]


async def test_groups_are_counted_the_largest_first(filled: Ledger) -> None:
    assert await filled.read(dead_letters.count_groups) == [
        GroupCount(LONG, 2, Instant(20)),
        GroupCount(NO_CODE, 1, Instant(30)),
        GroupCount(Group("other", "rejected", "22P05"), 1, Instant(5)),
    ]


async def test_groups_of_one_size_are_ordered_by_their_names(filled: Ledger) -> None:
    one = msgspec.structs.replace(DEAD, call="cloudtalk-4", outcome="retry", attempted_at=Instant(40))
    await settle(filled, one)
    await settle(filled, msgspec.structs.replace(one, call="cloudtalk-3", code="22"), name="other")
    await settle(filled, msgspec.structs.replace(one, call="cloudtalk-2", code=None), name="other")
    counted = await filled.read(dead_letters.count_groups)
    assert [count.group for count in counted] == [
        LONG,
        NO_CODE,
        Group("crm", "retry", "22P05"),
        Group("other", "rejected", "22P05"),
        Group("other", "retry", None),
        Group("other", "retry", "22"),
    ]


async def test_the_latest_of_a_group_is_found(filled: Ledger) -> None:
    found = await filled.read(lambda c: dead_letters.find_latest(c, LONG, limit=1))
    assert [found_letter.call.id for found_letter in found] == ["cloudtalk-2"]
    found = await filled.read(lambda c: dead_letters.find_latest(c, NO_CODE, limit=5))
    assert [found_letter.call.id for found_letter in found] == ["cloudtalk-3"]


async def test_a_group_is_replayed_and_no_other(filled: Ledger) -> None:
    assert await filled.write(lambda c: dead_letters.replay_group(c, LONG, now=Instant(50))) == 2
    assert await states(filled) == ["pending", "pending", "dead", "pending", "dead"]
    delivery = await get_delivery(filled, "cloudtalk-1")
    assert (delivery.due_at, delivery.attempts) == (50, 0)


async def test_a_group_is_dropped_and_no_other(filled: Ledger) -> None:
    assert await filled.write(lambda c: dead_letters.drop_group(c, NO_CODE)) == 1
    assert await filled.write(lambda c: dead_letters.drop_group(c, NO_CODE)) == 0
    assert await states(filled) == ["dead", "dead", "dropped", "pending", "dead"]
