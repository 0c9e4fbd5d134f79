"""Replays read all calls page by page, and make them pending whatever their state."""

from functools import partial
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from relay.instants import Instant
from relay.ledger import Ledger, calls, deliveries, destinations, replays
from relay.ledger.replays import PageCursor
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, get_delivery
from tests.support.samples import ODD_IDS, make_call_row


async def write_calls(ledger: Ledger, *calls_began: tuple[str, int]) -> None:
    """Insert calls: (id, start)."""
    rows = [msgspec.structs.replace(make_call_row(id_, 1), began_at=at) for id_, at in calls_began]
    await ledger.write(lambda c: calls.write(c, rows, []))


async def list_all_pages(
    ledger: Ledger, *, since: Instant = Instant(0), until: Instant | None = None, limit: int = 2
) -> list[str]:
    """Return the ids on all pages."""
    cursor: PageCursor | None = PageCursor(since)
    ids: list[str] = []
    while cursor is not None:
        page, cursor = await ledger.read(partial(replays.list_page, after=cursor, until=until, limit=limit))
        ids += [call.id for call in page]
    return ids


async def count(ledger: Ledger, *, since: Instant = Instant(0), until: Instant | None = None) -> int:
    return await ledger.read(lambda c: replays.count(c, PageCursor(since), until=until))


# --- the pages ------------------------------------------------------------------------------------


async def test_the_pages_contain_every_call_once_the_oldest_first(ledger: Ledger) -> None:
    await write_calls(ledger, ("d", 40), ("b", 20), ("c", 20), ("a", 20), ("e", 5))
    for limit in range(1, 7):
        assert await list_all_pages(ledger, limit=limit) == ["e", "a", "b", "c", "d"]
    assert await count(ledger) == 5


async def test_a_period_includes_its_start_and_excludes_its_end(ledger: Ledger) -> None:
    await write_calls(ledger, *((str(at), at) for at in (10, 20, 30, 40)))
    assert await list_all_pages(ledger, since=Instant(20), until=Instant(40)) == ["20", "30"]
    assert await list_all_pages(ledger, since=Instant(21)) == ["30", "40"]
    assert await list_all_pages(ledger, until=Instant(10)) == []
    assert (
        await count(ledger, since=Instant(20), until=Instant(40)),
        await count(ledger, since=Instant(41)),
    ) == (2, 0)


async def test_a_merged_call_is_on_no_page(ledger: Ledger) -> None:
    await write_calls(ledger, ("a", 10), ("b", 20))
    row = make_call_row("b", 2)
    merged = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="a"))
    await ledger.write(lambda c: calls.write(c, [], [merged]))
    assert await list_all_pages(ledger) == ["a"]
    assert await count(ledger) == 1


async def test_odd_ids_are_on_the_pages_too(ledger: Ledger) -> None:
    await write_calls(ledger, *((odd, 10) for odd in ODD_IDS))
    assert sorted(await list_all_pages(ledger, limit=3)) == sorted(ODD_IDS)


# --- enqueueing -----------------------------------------------------------------------------------


@pytest.fixture
async def replayable(ledger: Ledger) -> Ledger:
    """A ledger whose calls `a` and `b` are pending at `crm`; `late` was added after them."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await write_calls(ledger, ("a", 10), ("b", 20))
    await ledger.write(lambda c: deliveries.enqueue(c, [("a", 1), ("b", 1)], now=Instant(10)))
    await ledger.write(lambda c: destinations.register(c, {"late": "local"}))
    return ledger


async def replay(ledger: Ledger, *versions: tuple[str, int], name: str = "crm", now: int = 90) -> None:
    await ledger.write(lambda c: replays.enqueue(c, name, versions, now=Instant(now)))


async def settle(ledger: Ledger, **changes: Any) -> None:
    update = delivered_update("a", remote_id="r1", **changes)
    await ledger.write(lambda c: deliveries.settle(c, "crm", [update], now=Instant(50)))


async def test_old_calls_become_pending_at_a_new_destination(replayable: Ledger) -> None:
    await replay(replayable, ("a", 1), ("b", 1), name="late")
    for call in "ab":
        row = await get_delivery(replayable, call, "late")
        assert (row.state, row.version, row.delivered_version) == ("pending", 1, 0)
        assert (row.pending_since, row.due_at, row.attempts, row.failing_for) == (90, 90, 0, 0)
    assert (await get_delivery(replayable, "a")).pending_since == 10


@pytest.mark.parametrize("state", ["delivered", "dead", "dropped", "filtered", "retracted"])
async def test_a_call_in_any_state_is_pending_with_a_new_schedule(replayable: Ledger, state: str) -> None:
    await settle(replayable, state=state, attempts=3, failing_for=40)
    await replay(replayable, ("a", 1))
    row = await get_delivery(replayable, "a")
    assert (row.state, row.pending_since, row.due_at, row.attempts, row.failing_for) == (
        "pending",
        90,
        90,
        0,
        0,
    )
    assert (row.delivered_version, row.remote_id, row.first_delivered_at) == (1, "r1", 50)
    assert (await get_delivery(replayable, "b")).due_at == 10


async def test_a_pending_call_is_due_now_and_pending_since_the_same_time(
    replayable: Ledger,
) -> None:
    await settle(
        replayable, state=DeliveryState.PENDING, delivered_version=0, due_at=500, attempts=3, failing_for=40
    )
    await replay(replayable, ("a", 1))
    row = await get_delivery(replayable, "a")
    assert (row.state, row.pending_since, row.due_at, row.attempts, row.failing_for) == (
        "pending",
        10,
        90,
        0,
        0,
    )


async def test_a_replayed_call_waits_for_nothing_that_the_crm_asked_for(replayable: Ledger) -> None:
    await settle(replayable, state=DeliveryState.PENDING, due_at=500, not_before=400)
    await replay(replayable, ("a", 1))
    row = await get_delivery(replayable, "a")
    assert (row.due_at, row.not_before, row.rewrite) == (90, None, False)


async def test_other_processes_are_woken_after_a_replay(
    replayable: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify = Mock()
    monkeypatch.setattr(replays, "notify", notify)
    await replay(replayable, ("a", 1), ("b", 1))
    notify.assert_called_once()


async def test_replaying_twice_is_like_replaying_once(replayable: Ledger) -> None:
    await replay(replayable, ("a", 1), name="late")
    before = await get_delivery(replayable, "a", "late")
    await replay(replayable, ("a", 1), name="late")
    assert await get_delivery(replayable, "a", "late") == before


async def test_replaying_no_call_makes_no_delivery(replayable: Ledger) -> None:
    await replay(replayable, name="late")
    rows = await replayable.read(lambda c: deliveries.list_for_call(c, "a"))
    assert [row.destination for row in rows] == ["crm"]


async def test_deliveries_with_odd_ids_are_distinct(replayable: Ledger) -> None:
    await replay(replayable, *((odd, 1) for odd in ODD_IDS[1:]), name="late")
    await replay(replayable, *((odd, 2) for odd in ODD_IDS), name="late")
    assert [(await get_delivery(replayable, odd, "late")).version for odd in ODD_IDS] == [2] * len(ODD_IDS)
