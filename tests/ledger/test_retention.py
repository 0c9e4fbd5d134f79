"""The retention worker deletes all that is old, in portions."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from relay.call import state_from_event
from relay.instants import Instant, iso
from relay.ledger import (
    Ledger,
    LedgerUnavailable,
    actions,
    attempts,
    calls,
    client_state,
    delivered_counts,
    history_cursors,
    journal,
    quarantine,
    tombstones,
    warnings,
)
from relay.ledger.actions import ActionRow
from relay.ledger.attempts import AttemptRow
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.errors import LeaseLost
from relay.ledger.history_cursors import HistoryCursor
from relay.ledger.lease_holder import Lease
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.retention import RetentionWorker, _log_failure
from relay.ledger.tables import leases
from tests.support.clock import Clock, MonotonicClock
from tests.support.fake_time import replace_sleep
from tests.support.journal import count_events, read_events, read_quarantine
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
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


async def run_once(
    ledger: Ledger, *, seconds: Callable[[], float] = lambda: 0, attempts_days: float = 30
) -> int:
    """Run retention once at each of two times of the monotonic clock, and return the number of calls left."""
    worker = RetentionWorker(
        ledger, events_days=30, calls_days=730, attempts_days=attempts_days, monotonic=seconds
    )
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


@pytest.mark.parametrize(("ahead", "is_refused"), [(DAY, False), (DAY + 1, True)])
async def test_a_clock_may_be_a_day_ahead_of_the_newest_call(
    ledger_url: str, ahead: int, *, is_refused: bool
) -> None:
    clock = Clock()
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    clock.now = RECEIVED_AT + ahead
    await run_once(ledger)
    assert (await ledger.read(warning) is not None) is is_refused
    await ledger.close()


async def test_after_a_new_call_only_the_time_since_then_may_pass(ledger_url: str) -> None:
    clock, monotonic = Clock(), MonotonicClock()
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    worker = RetentionWorker(ledger, events_days=30, calls_days=730, attempts_days=30, monotonic=monotonic)
    await worker._lease.acquire()

    async def warning_after(*, jumped_days: float, passed_days: float) -> str | None:
        monotonic.time += passed_days * 86_400
        clock.now += int(jumped_days * DAY)
        await worker.delete_old_rows()
        return await ledger.read(warning)

    assert await warning_after(jumped_days=0, passed_days=0) is None
    assert await warning_after(jumped_days=10, passed_days=10) is None
    new = msgspec.structs.replace(
        row_with_start("2", clock()),
        state=state_from_event(make_event(name="2"), seq=2, received_at=clock()),
    )
    await ledger.write(lambda c: calls.write(c, [new], []))
    assert await warning_after(jumped_days=0, passed_days=0) is None
    assert await warning_after(jumped_days=2, passed_days=0) is not None
    assert await warning_after(jumped_days=0, passed_days=1) is None
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
    running = asyncio.create_task(
        RetentionWorker(ledger, events_days=30, calls_days=730, attempts_days=30).run()
    )
    async with asyncio.timeout(PATIENCE):
        while await ledger.read(count_events) != (1, 1, 0):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=PATIENCE)
    await ledger.close()


# --- what is old ------------------------------------------------------------------------------------

NOW = RECEIVED_AT + 5_000 * DAY


def call_changed_at(name: str, at: int) -> CallRow:
    state = state_from_event(make_event(name=name), seq=1, received_at=Instant(at))
    return msgspec.structs.replace(row_with_start(name, at), state=state)


async def test_each_kind_of_row_has_its_age(ledger_url: str) -> None:
    """Each kind has a row that is just old enough, and one that is a microsecond younger."""
    clock = Clock(NOW)
    events_before, calls_before, tombstones_before = (NOW - days * DAY for days in (30, 730, 3_650))
    attempts_before = NOW - 7 * DAY

    def fill(connection: Connection) -> None:
        rows = [make_event_row(received_at=Instant(events_before - 1 + n)) for n in range(2)]
        seqs = journal.append(connection, rows)
        journal.mark_folded(connection, [(seq, f"cloudtalk-none-{seq}") for seq in seqs])
        changed = [("now", NOW), ("old", calls_before - 1), ("young", calls_before)]
        calls.write(connection, [call_changed_at(name, at) for name, at in changed], [])
        gone = [call_changed_at("dead", NOW), call_changed_at("late", NOW)]
        calls.write(connection, gone, [])
        for row, at in zip(gone, (tombstones_before - 1, tombstones_before), strict=True):
            tombstones.add(connection, [row.id], now=Instant(at))
        for n in range(2):
            at, key = Instant(events_before - 1 + n), f"contact:{n}"
            quarantine.add(connection, NewQuarantinedBody(at, "json", "no JSON", "", "", "/", "", b"{"))
            client_state.set_many(connection, "crm", {key: "7"}, now=Instant(calls_before - 1 + n))
            cursor = HistoryCursor(Instant(n), Instant(9), is_open=False, progress="{}")
            history_cursors.save(connection, cursor, now=at)
            at = Instant(attempts_before - 1 + n)
            pushed = AttemptRow("crm", "cloudtalk-now", at, 1, "upsert", "delivered", None, None, 5)
            attempts.add(connection, [pushed])
            actions.add(connection, [ActionRow(at, "cli", "call.replay", "crm", "cloudtalk-now")])

    def left(connection: Connection) -> dict[str, Any]:
        ids = {f"cloudtalk-{name}" for name in ("dead", "late", "old")}
        return {
            "events": [row.received_at - events_before for row in read_events(connection)],
            "calls": calls.list_ids_after(connection, "", 9),
            "tombstones": tombstones.list_ids(connection, ids),
            "quarantine": [row.received_at - events_before for row in read_quarantine(connection)],
            "attempts": [
                row.at - attempts_before for row in attempts.list_for_calls(connection, ["cloudtalk-now"])
            ],
            "actions": [
                row.at - attempts_before
                for row in actions.list_for_calls(connection, ["cloudtalk-now"], [], since=Instant(0))
            ],
            "client_state": client_state.get_many(connection, "crm", ["contact:0", "contact:1"]),
            "cursors": [n for n in range(2) if history_cursors.find(connection, Instant(n), Instant(9))],
        }

    async with open_ledger(ledger_url, clock=clock) as ledger:
        await ledger.write(fill)
        await run_once(ledger, attempts_days=7)
        assert await ledger.read(left) == {
            "events": [0],
            "calls": ["cloudtalk-dead", "cloudtalk-late", "cloudtalk-now", "cloudtalk-young"],
            "tombstones": {"cloudtalk-late", "cloudtalk-old"},
            "quarantine": [0],
            "attempts": [0],
            "actions": [0],
            "client_state": {"contact:1": "7"},
            "cursors": [1],
        }


async def test_one_run_deletes_all_portions(ledger_url: str) -> None:
    clock = Clock(NOW)
    old = [call_changed_at(f"{n:04}", RECEIVED_AT) for n in range(1_001)]

    def fill(connection: Connection) -> None:
        calls.write(connection, [*old, call_changed_at("now", NOW)], [])
        tombstones.add(connection, [row.id for row in old], now=Instant(1))

    async with open_ledger(ledger_url, clock=clock) as ledger:
        await ledger.write(fill)
        assert await run_once(ledger) == 1
        ids = {row.id for row in old}
        assert await ledger.read(lambda c: tombstones.list_ids(c, ids)) == ids  # of the calls deleted now
        clock.now += 3_651 * DAY
        await ledger.write(lambda c: calls.write(c, [call_changed_at("later", clock.now)], []))
        await run_once(ledger)
        assert await ledger.read(lambda c: tombstones.list_ids(c, ids)) == set()


async def test_what_else_expires_is_deleted_too_unless_the_clock_jumped(ledger_url: str) -> None:
    clock, monotonic, runs = Clock(), MonotonicClock(), list[int]()
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)

    async def delete_files() -> None:
        runs.append(clock.now)

    worker = RetentionWorker(
        ledger, events_days=30, calls_days=730, attempts_days=30, also=delete_files, monotonic=monotonic
    )
    await worker._lease.acquire()
    await worker.delete_old_rows()
    assert len(runs) == 1
    clock.now += 800 * DAY
    await worker.delete_old_rows()
    assert len(runs) == 1
    await ledger.close()


async def test_the_calls_delivered_today_are_counted_however_short_attempts_are_kept(ledger_url: str) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT
    ledger = await open_with_call(ledger_url, clock, began_at=RECEIVED_AT)
    for hours in (49, 47, 1):
        at = Instant(RECEIVED_AT - hours * DAY // 24)
        await ledger.write(lambda c, at=at: delivered_counts.add(c, "crm", 1, now=at))  # type: ignore[misc]
    await run_once(ledger, attempts_days=0.25)
    counts = await ledger.read(lambda c: delivered_counts.count_since(c, Instant(0)))
    await ledger.close()
    assert counts == {"crm": 2}


# --- when it runs -----------------------------------------------------------------------------------


async def test_it_deletes_at_once_and_every_hour_and_holds_its_lease_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, really_sleep = Clock(), asyncio.sleep
    sleeps: list[float] = []
    lease_seconds: set[float] = set()

    async def sleep(seconds: float) -> None:
        name, expires_at = await ledger.read(
            lambda c: c.execute(select(leases.c.name, leases.c.expires_at)).one()
        )
        lease_seconds.add((expires_at - clock.now) / 1_000_000)
        assert name == "retention"
        sleeps.append(seconds)
        if seconds >= 1:  # the pause between two transactions is short
            clock.advance(seconds)
        if len(sleeps) == 264:
            raise asyncio.CancelledError
        await really_sleep(0)

    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=clock) as ledger:
        replace_sleep(monkeypatch, sleep)
        with pytest.raises(asyncio.CancelledError):
            await RetentionWorker(ledger, events_days=30, calls_days=730, attempts_days=30).run()
        assert sleeps == [0.05] * 12 + [15.0] * 240 + [0.05] * 12
        assert max(lease_seconds) == 60
        assert min(lease_seconds) >= 30
        assert await ledger.read(lambda c: c.execute(select(leases.c.expires_at)).scalar_one()) == 0


async def test_nothing_is_deleted_under_a_lost_lease(ledger_url: str) -> None:
    clock = Clock(NOW)
    async with open_ledger(ledger_url, clock=clock) as ledger:
        rows = [call_changed_at("old", RECEIVED_AT), call_changed_at("now", NOW)]
        await ledger.write(lambda c: calls.write(c, rows, []))
        worker = RetentionWorker(ledger, events_days=30, calls_days=730, attempts_days=30)
        await worker._lease.acquire()
        await Lease(ledger, "retention", seconds=60).preempt()  # as another process does
        with pytest.raises(LeaseLost, match="the lease retention has passed to another process"):
            await worker.delete_old_rows()
        assert await ledger.read(calls.count) == 2


def test_only_an_unexpected_failure_is_logged_with_its_traceback() -> None:
    unavailable, unexpected = LedgerUnavailable("locked"), ValueError("x")
    with capture_logs() as logs:
        for error in (unavailable, unexpected):
            _log_failure(error)
    assert logs == [
        {"event": "retention.failed", "log_level": "warning", "error": "locked"},
        {"event": "retention.failed", "log_level": "error", "exc_info": unexpected},
    ]
