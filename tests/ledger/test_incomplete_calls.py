"""Calls that are over and lack what CloudTalk's history states."""

from typing import Any

import msgspec
import pytest

from relay.fold.versions import first_version
from relay.instants import Instant
from relay.ledger import Ledger, calls
from relay.ledger.incomplete_calls import IncompleteCall, list_incomplete
from tests.support.samples import RECEIVED_AT, make_state


async def add(ledger: Ledger, name: str, **facts: Any) -> None:
    """Add a call whose record has these fields."""
    row = first_version(name, make_state(name=name), floor=0)
    row = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, **facts))
    await ledger.write(lambda c: calls.write(c, [row], []))


async def count(ledger: Ledger, **options: int) -> int:
    since = Instant(options.pop("since", 0))
    return len(await ledger.read(lambda c: list_incomplete(c, since=since, **options)))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"status": "completed", "call_id": None, "talking_seconds": 5}, 1),
        ({"status": "missed", "call_id": None}, 1),
        ({"status": "completed", "call_id": "7"}, 1),
        ({"status": "completed", "call_id": "7", "talking_seconds": 0}, 0),
        ({"status": "completed", "call_id": "7", "duration_seconds": 5}, 0),
        ({"status": "completed", "call_id": "7", "answered_at": "2024-11-28T10:30:00Z"}, 0),
        ({"status": "missed", "call_id": "7"}, 0),
        ({"status": "in_progress", "call_id": None}, 0),
        ({"status": "answered", "call_id": None}, 0),
        ({"status": "missed", "call_id": None, "merged_into": "other"}, 0),
    ],
)
async def test_a_call_is_incomplete_without_its_call_id_or_its_outcome(
    ledger: Ledger, facts: dict[str, Any], expected: int
) -> None:
    await add(ledger, "1", **facts)
    assert await count(ledger) == expected


async def test_only_calls_that_changed_since_then_are_listed_the_newest_first(ledger: Ledger) -> None:
    await add(ledger, "1", status="missed", call_id=None)
    (call,) = await ledger.read(lambda c: list_incomplete(c, since=Instant(0)))
    assert call == IncompleteCall(Instant(RECEIVED_AT + 1), Instant(RECEIVED_AT + 1), has_start=False)
    assert await count(ledger, since=RECEIVED_AT + 1) == 1
    assert await count(ledger, since=RECEIVED_AT + 2) == 0
    await add(ledger, "2", status="missed", call_id=None)
    assert [await count(ledger, limit=limit) for limit in (1, 2)] == [1, 2]


async def test_whether_an_event_stated_the_start_is_known(ledger: Ledger) -> None:
    await add(ledger, "1", status="missed", call_id=None, started_at="2024-11-28T10:30:00Z")
    (call,) = await ledger.read(lambda c: list_incomplete(c, since=Instant(0)))
    assert call.has_start
