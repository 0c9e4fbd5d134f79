"""Dead letters wait for a person, who replays or drops them."""

from typing import Any
from unittest.mock import Mock

import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, dead_letters, deliveries
from relay.ledger.dead_letters import DeadLetter, Group
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, enqueue, get_delivery, settle
from tests.support.samples import ODD_IDS, make_call_row


async def add(ledger: Ledger, *ids: str, name: str = "crm", at: int = 50) -> None:
    """Enqueue calls that are not there yet, and let one destination reject them."""
    known = await ledger.read(lambda c: calls.get_many(c, ids))
    await enqueue(ledger, *((id_, 1) for id_ in ids if id_ not in known))
    updates = [
        delivered_update(
            id_,
            state=DeliveryState.DEAD,
            delivered_version=0,
            due_at=Instant(50),
            attempts=3,
            attempted_at=Instant(at),
            failing_for=Duration(40),
            remote_id=None,
            outcome="rejected",
            code="22P05",
            message="it's no text",
        )
        for id_ in ids
    ]
    await settle(ledger, *updates, name=name, now=at)


async def find(ledger: Ledger, **filters: Any) -> list[DeadLetter]:
    return await ledger.read(lambda c: dead_letters.find(c, **filters))


async def keys(ledger: Ledger, **filters: Any) -> list[tuple[str, str]]:
    return [dead_letter.key for dead_letter in await find(ledger, **filters)]


async def replay(ledger: Ledger, *keys: tuple[str, str], now: int = 90) -> None:
    await ledger.write(lambda c: dead_letters.replay(c, keys, now=Instant(now)))


async def drop(ledger: Ledger, *keys: tuple[str, str]) -> None:
    await ledger.write(lambda c: dead_letters.drop(c, keys))


async def test_a_dead_letter_has_the_call_and_the_crms_answer(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    (dead_letter,) = await find(two_destinations)
    assert dead_letter == DeadLetter(
        call=make_call_row("a", 1).record,
        destination="crm",
        version=1,
        delivered_version=0,
        attempts=3,
        attempted_at=Instant(50),
        outcome="rejected",
        code="22P05",
        message="it's no text",
    )


async def test_the_latest_dead_letter_comes_first(two_destinations: Ledger) -> None:
    await add(two_destinations, "a", at=50)
    await add(two_destinations, "b", "c", at=60)
    await add(two_destinations, "b", name="other", at=60)
    assert await keys(two_destinations) == [("crm", "b"), ("other", "b"), ("crm", "c"), ("crm", "a")]


async def test_dead_letters_are_found_by_destination_and_by_call(two_destinations: Ledger) -> None:
    await add(two_destinations, "a", "b")
    await add(two_destinations, "b", name="other")
    assert await keys(two_destinations, destination="other") == [("other", "b")]
    assert await keys(two_destinations, ids=["b", "b", "c"]) == [("crm", "b"), ("other", "b")]
    assert await keys(two_destinations, ids=["b"], destination="crm") == [("crm", "b")]
    assert await keys(two_destinations, ids=[]) == []


async def test_a_pending_or_delivered_call_is_no_dead_letter(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await settle(two_destinations, delivered_update("a"), now=60)
    assert await keys(two_destinations) == []


async def test_a_replayed_dead_letter_is_pending_with_a_new_schedule(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await replay(two_destinations, ("crm", "a"))
    row = await get_delivery(two_destinations, "a")
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 1, 90, 90)
    assert (row.attempts, row.failing_for) == (0, 0)
    assert await keys(two_destinations) == []


async def test_other_processes_are_woken_after_a_replay(
    two_destinations: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify = Mock()
    monkeypatch.setattr(dead_letters, "notify", notify)
    await add(two_destinations, "a", "b")
    await replay(two_destinations, ("crm", "a"))
    notify.assert_called_once()
    group = Group("crm", "rejected", "22P05")
    assert await two_destinations.write(lambda c: dead_letters.replay_group(c, group, now=Instant(90))) == 1
    assert notify.call_count == 2


async def test_only_the_named_dead_letters_are_replayed(two_destinations: Ledger) -> None:
    await add(two_destinations, "a", "b")
    await add(two_destinations, "a", name="other")
    await replay(two_destinations, ("crm", "a"))
    assert await keys(two_destinations) == [("other", "a"), ("crm", "b")]


async def test_replaying_a_delivery_that_is_not_dead_changes_nothing(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await replay(two_destinations, ("crm", "a"))
    before = await get_delivery(two_destinations, "a")
    await replay(two_destinations, ("crm", "a"), ("other", "a"), ("crm", "unknown"), now=99)
    assert await get_delivery(two_destinations, "a") == before
    assert (await get_delivery(two_destinations, "a", "other")).pending_since == 10


async def test_a_dropped_dead_letter_is_neither_dead_nor_pending(two_destinations: Ledger) -> None:
    await add(two_destinations, "a", "b")
    await drop(two_destinations, ("crm", "a"))
    assert await keys(two_destinations) == [("crm", "b")]
    assert (await get_delivery(two_destinations, "a")).state == "dropped"
    counts = (await two_destinations.read(deliveries.counts_by_destination))["crm"]
    assert (counts.pending, counts.dead) == (0, 1)


async def test_dropping_twice_or_a_pending_delivery_changes_nothing(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await drop(two_destinations, ("crm", "a"), ("other", "a"))
    await drop(two_destinations, ("crm", "a"))
    assert (await get_delivery(two_destinations, "a", "other")).state == "pending"


async def test_a_newer_version_of_a_dropped_call_is_pending(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await drop(two_destinations, ("crm", "a"))
    await enqueue(two_destinations, ("a", 2), now=70)
    row = await get_delivery(two_destinations, "a")
    assert (row.state, row.version, row.due_at, row.attempts) == ("pending", 2, 70, 0)


async def test_dead_letters_with_odd_ids_are_distinct(two_destinations: Ledger) -> None:
    await add(two_destinations, *ODD_IDS)
    await replay(two_destinations, *(("crm", odd) for odd in ODD_IDS[1:]))
    assert await keys(two_destinations) == [("crm", ODD_IDS[0])]
    assert await keys(two_destinations, ids=ODD_IDS) == [("crm", ODD_IDS[0])]


async def test_replaying_or_dropping_no_dead_letter_changes_nothing(two_destinations: Ledger) -> None:
    await add(two_destinations, "a")
    await replay(two_destinations)
    await drop(two_destinations)
    assert await keys(two_destinations) == [("crm", "a")]
