"""Calls are owed again: page by page in the order of their beginnings, whatever became of them before."""

from functools import partial
from typing import Any

import msgspec
import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, deliveries, destinations, replays
from relay.ledger.deliveries import DeliveryUpdate
from relay.ledger.replays import PageCursor
from relay.ledger.states import DeliveryState
from tests.support.samples import ODD_IDS, make_call_row

DELIVERED = DeliveryUpdate(
    call="a",
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


async def begin(ledger: Ledger, *began: tuple[str, int]) -> None:
    rows = [msgspec.structs.replace(make_call_row(id_, 1), began_at=at) for id_, at in began]
    await ledger.write(lambda c: calls.write(c, rows, []))


async def walked(
    ledger: Ledger, *, since: Instant = Instant(0), until: Instant | None = None, limit: int = 2
) -> list[str]:
    """The ids on all pages, one after the other."""
    place: PageCursor | None = PageCursor(since)
    found: list[str] = []
    while place is not None:
        page, place = await ledger.read(partial(replays.list_page, after=place, until=until, limit=limit))
        found += [call.id for call in page]
    return found


async def count(ledger: Ledger, *, since: Instant = Instant(0), until: Instant | None = None) -> int:
    return await ledger.read(lambda c: replays.count(c, PageCursor(since), until=until))


# --- the pages ------------------------------------------------------------------------------------


async def test_the_pages_hold_every_call_once_the_oldest_first(ledger: Ledger) -> None:
    await begin(ledger, ("d", 40), ("b", 20), ("c", 20), ("a", 20), ("e", 5))
    for most in range(1, 7):
        assert await walked(ledger, limit=most) == ["e", "a", "b", "c", "d"]
    assert await count(ledger) == 5


async def test_a_time_begins_with_its_first_instant_and_ends_before_its_last(ledger: Ledger) -> None:
    await begin(ledger, *((str(at), at) for at in (10, 20, 30, 40)))
    assert await walked(ledger, since=Instant(20), until=Instant(40)) == ["20", "30"]
    assert await walked(ledger, since=Instant(21)) == ["30", "40"]
    assert await walked(ledger, until=Instant(10)) == []
    assert (
        await count(ledger, since=Instant(20), until=Instant(40)),
        await count(ledger, since=Instant(41)),
    ) == (2, 0)


async def test_a_call_that_went_into_another_is_on_no_page(ledger: Ledger) -> None:
    await begin(ledger, ("a", 10), ("b", 20))
    row = make_call_row("b", 2)
    merged = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="a"))
    await ledger.write(lambda c: calls.write(c, [], [merged]))
    assert await walked(ledger) == ["a"]
    assert await count(ledger) == 1


async def test_odd_ids_end_no_page_too_early(ledger: Ledger) -> None:
    await begin(ledger, *((odd, 10) for odd in ODD_IDS))
    assert sorted(await walked(ledger, limit=3)) == sorted(ODD_IDS)


# --- owing ----------------------------------------------------------------------------------------


@pytest.fixture
async def owing(ledger: Ledger) -> Ledger:
    """A ledger with the destination `crm`, which is owed the calls `a` and `b`, and then `late`."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await begin(ledger, ("a", 10), ("b", 20))
    await ledger.write(lambda c: deliveries.enqueue(c, [("a", 1), ("b", 1)], now=Instant(10)))
    await ledger.write(lambda c: destinations.register(c, {"late": "local"}))
    return ledger


async def owe(ledger: Ledger, *versions: tuple[str, int], name: str = "crm", now: int = 90) -> None:
    await ledger.write(lambda c: replays.enqueue(c, name, versions, now=Instant(now)))


async def settle(ledger: Ledger, **changes: Any) -> None:
    settlement = msgspec.structs.replace(DELIVERED, **changes)
    await ledger.write(lambda c: deliveries.settle(c, "crm", [settlement], now=Instant(50)))


async def delivery(ledger: Ledger, call: str = "a", name: str = "crm") -> Any:
    rows = await ledger.read(lambda c: deliveries.list_for_call(c, call))
    return next((row for row in rows if row.destination == name), None)


async def test_a_new_destination_is_owed_its_history(owing: Ledger) -> None:
    await owe(owing, ("a", 1), ("b", 1), name="late")
    for call in "ab":
        row = await delivery(owing, call, "late")
        assert (row.state, row.version, row.delivered_version) == ("pending", 1, 0)
        assert (row.pending_since, row.due_at, row.attempts, row.failing_for) == (90, 90, 0, 0)
    assert (await delivery(owing)).pending_since == 10


@pytest.mark.parametrize("state", ["delivered", "dead", "dropped", "filtered", "retracted"])
async def test_whatever_became_of_it_a_call_is_owed_afresh(owing: Ledger, state: str) -> None:
    await settle(owing, state=state, attempts=3, failing_for=40)
    await owe(owing, ("a", 1))
    row = await delivery(owing)
    assert (row.state, row.pending_since, row.due_at, row.attempts, row.failing_for) == (
        "pending",
        90,
        90,
        0,
        0,
    )
    assert (row.delivered_version, row.remote_id, row.first_delivered_at) == (1, "r1", 50)
    assert (await delivery(owing, "b")).due_at == 10


async def test_what_is_owed_already_is_due_at_once_and_owed_for_as_long(owing: Ledger) -> None:
    await settle(
        owing, state=DeliveryState.PENDING, delivered_version=0, due_at=500, attempts=3, failing_for=40
    )
    await owe(owing, ("a", 1))
    row = await delivery(owing)
    assert (row.state, row.pending_since, row.due_at, row.attempts, row.failing_for) == (
        "pending",
        10,
        90,
        0,
        0,
    )


async def test_owing_twice_owes_once(owing: Ledger) -> None:
    await owe(owing, ("a", 1), name="late")
    before = await delivery(owing, name="late")
    await owe(owing, ("a", 1), name="late")
    assert await delivery(owing, name="late") == before


async def test_owing_nothing_owes_nothing(owing: Ledger) -> None:
    await owe(owing, name="late")
    assert await delivery(owing, name="late") is None


async def test_marks_of_odd_ids_are_told_apart(owing: Ledger) -> None:
    await owe(owing, *((odd, 1) for odd in ODD_IDS[1:]), name="late")
    await owe(owing, *((odd, 2) for odd in ODD_IDS), name="late")
    assert [(await delivery(owing, odd, "late")).version for odd in ODD_IDS] == [2] * len(ODD_IDS)
