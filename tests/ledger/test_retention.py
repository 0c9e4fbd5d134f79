"""The retention worker deletes all that is old, in portions."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import Connection

from relay.call import state_from_event
from relay.instants import Instant, iso
from relay.ledger import Ledger, calls, journal, warnings
from relay.ledger.calls import CallRow
from relay.ledger.retention import RetentionWorker
from tests.support.clock import Clock
from tests.support.samples import RECEIVED_AT, make_call_row, make_event, make_event_row

DAY = 86_400 * 1_000_000


def row_with_start(name: str, began_at: int) -> CallRow:
    """A call that stated this start."""
    row = make_call_row(f"cloudtalk-{name}")
    began = Instant(began_at)
    record = msgspec.structs.replace(row.record, started_at=iso(began))
    return msgspec.structs.replace(row, began_at=began, record=record)


async def open_with_call(url: str, clock: Clock, *, began_at: int) -> Ledger:
    """A ledger with a delivered call that changed at `RECEIVED_AT` and began then."""
    ledger = Ledger(url, clock=clock)
    await ledger.open()
    await ledger.write(lambda c: calls.write(c, [row_with_start("1", began_at)], []))
    return ledger


async def run_once(ledger: Ledger, *, seconds: Callable[[], float] = lambda: 0) -> int:
    """Run retention once at each of two times of the monotonic clock, and return the number of calls left."""
    worker = RetentionWorker(ledger, events_days=30, calls_days=730, monotonic=seconds)
    await worker._lease.acquire()
    for _ in range(2):
        await worker.delete_old_rows()
    return await ledger.read(calls.count)


def warning(connection: Connection) -> str | None:
    return warnings.get(connection, warnings.CLOCK_JUMPED, since=Instant(0))


@pytest.mark.parametrize("days", [1.1, 800, 40_000])
async def test_nothing_is_deleted_after_a_jump_of_the_clock(ledger_url: str, days: float) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT + int(days * DAY)
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    # Events that arrive with the wrong clock prove nothing: one of a call that began at the right time, one
    # without a start, and one whose stated start is later than its arrival.
    arrived = state_from_event(make_event(name="2"), seq=2, received_at=clock())
    without_start = msgspec.structs.replace(make_call_row("cloudtalk-2"), began_at=clock(), state=arrived)
    in_future = msgspec.structs.replace(row_with_start("3", clock() + 1), state=arrived)
    await ledger.write(lambda c: journal.append(c, [make_event_row(received_at=clock())]))
    await ledger.write(lambda c: calls.write(c, [without_start, in_future], []))
    assert await run_once(ledger) == 3
    message = await ledger.read(warning)
    assert message is not None
    assert "2027-01-15T08:00:00Z" in message
    await ledger.close()


async def test_time_that_passes_while_the_relay_runs_is_no_jump(ledger_url: str) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT + 800 * DAY
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    seconds = iter([0.0, 0.0, 0.0, 800 * 86_400.0])
    assert await run_once(ledger, seconds=lambda: next(seconds, 800 * 86_400.0)) == 0
    await ledger.close()


async def test_a_call_that_begins_at_the_time_of_the_clock_ends_the_refusal(ledger_url: str) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT + 800 * DAY
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    assert await run_once(ledger) == 1
    new = msgspec.structs.replace(
        row_with_start("2", clock()),
        state=state_from_event(make_event(name="2"), seq=2, received_at=clock()),
    )
    await ledger.write(lambda c: calls.write(c, [new], []))
    assert await run_once(ledger) == 1
    assert await ledger.read(lambda c: calls.list_ids_after(c, "", 9)) == ["cloudtalk-2"]
    assert await ledger.read(warning) is None
    await ledger.close()


async def test_old_events_are_deleted_at_the_start(ledger_url: str) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT + 31 * DAY
    ledger = Ledger(ledger_url, clock=clock)
    await ledger.open()
    rows = [make_event_row(at=number, name=str(number)) for number in range(1_201)]
    young = make_event_row(received_at=clock(), name="young")
    seqs = await ledger.write(lambda c: journal.append(c, rows))
    await ledger.write(lambda c: journal.mark_folded(c, [(seq, "cloudtalk-1") for seq in seqs]))
    await ledger.write(lambda c: journal.append(c, [young]))
    running = asyncio.create_task(RetentionWorker(ledger, events_days=30, calls_days=730).run())
    async with asyncio.timeout(10):
        while await ledger.read(journal.count) != (1, 1, 0):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    await ledger.close()
