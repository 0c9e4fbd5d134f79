"""Concurrent requests share a commit, and a faulty event fails alone."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from relay.instants import SECOND
from relay.ledger import Ledger, LedgerUnavailable, journal
from relay.ledger.connection import Connection
from relay.ledger.errors import EventNotStorable, LedgerUnusable
from relay.ledger.group_commit import GroupCommit
from relay.ledger.journal import NewEvent
from tests.support.clock import Clock
from tests.support.journal import count_events, read_events
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.samples import make_event, make_event_row

T = TypeVar("T")

FAULTS: dict[str, Any] = {
    "no content type": {"content_type": None},
    "text with a lone surrogate": {"parsed": make_event(note="\ud800")},
    "a path with a lone surrogate": {"path": "\udc80"},
    "a value that JSON cannot encode": {"parsed": make_event(note=object())},
    "a body that is not bytes": {"raw": "text"},
}


def ignore() -> None:
    """Do nothing after an append."""


@asynccontextmanager
async def running(
    ledger: Ledger,
    *,
    on_append: Callable[[], None] = ignore,
    hold_seconds: float = 5,
    max_group_requests: int = 1_000,
) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(
        ledger, on_append=on_append, hold_seconds=hold_seconds, max_group_requests=max_group_requests
    )
    task = asyncio.create_task(group.run())
    yield group
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def group(ledger: Ledger) -> AsyncIterator[GroupCommit]:
    async with running(ledger) as appending:
        yield appending


@pytest.fixture
def commits(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The transactions that the ledger runs, in their order."""
    transactions: list[Any] = []
    write = ledger.write

    async def counted(work: Callable[[Connection], T]) -> T:
        transactions.append(work)
        return await write(work)

    monkeypatch.setattr(ledger, "write", counted)
    return transactions


async def stored_bodies(ledger: Ledger) -> dict[int, bytes]:
    return {event.seq: event.raw for event in await ledger.read(read_events)}


def make_events(count: int, **changes: Any) -> list[NewEvent]:
    return [msgspec.structs.replace(make_event_row(str(n).encode(), at=n), **changes) for n in range(count)]


async def append_all(group: GroupCommit, *requests: list[NewEvent]) -> list[Any]:
    """Return the sequence numbers or the exception of each request."""
    return await asyncio.gather(*(group.append(events) for events in requests), return_exceptions=True)


# --- one commit for many --------------------------------------------------------------------------


async def test_concurrent_requests_share_one_commit(
    ledger: Ledger, group: GroupCommit, commits: list[Any]
) -> None:
    numbers = await append_all(group, *([row] for row in make_events(200)))
    assert len(commits) == 1
    assert [(await stored_bodies(ledger))[seq] for (seq,) in numbers] == [row.raw for row in make_events(200)]


async def test_requests_that_arrive_during_a_commit_are_the_next_group(
    group: GroupCommit, commits: list[Any]
) -> None:
    first, *others = make_events(100)
    alone = asyncio.create_task(group.append([first]))
    while not commits:
        await asyncio.sleep(0)
    await append_all(group, *([row] for row in others))
    assert len(commits) == 2
    assert await alone == [1]


async def test_a_single_request_waits_for_no_other(group: GroupCommit, commits: list[Any]) -> None:
    for row in make_events(3):
        await group.append([row])
    assert len(commits) == 3


async def test_more_requests_than_fit_in_a_group_are_several_commits(
    ledger: Ledger, commits: list[Any]
) -> None:
    async with running(ledger, max_group_requests=10) as group:
        numbers = await append_all(group, *([row] for row in make_events(25)))
    assert len(commits) == 3
    assert numbers == [[seq] for seq in range(1, 26)]


async def test_the_events_of_one_request_have_numbers_in_its_order(
    ledger: Ledger, group: GroupCommit
) -> None:
    several = make_events(6)
    first, second = await append_all(group, several[:2], several[2:])
    stored = await stored_bodies(ledger)
    assert [stored[seq] for seq in [*first, *second]] == [row.raw for row in several]


async def test_on_append_is_called_once_for_each_group(ledger: Ledger) -> None:
    calls: list[int] = []
    async with running(ledger, on_append=lambda: calls.append(1)) as group:
        await append_all(group, *([row] for row in make_events(5)))
        await asyncio.sleep(0)
    assert calls == [1]


async def test_there_is_a_backlog_while_a_request_waits_for_a_commit(ledger: Ledger) -> None:
    group = GroupCommit(ledger, on_append=ignore)
    backlog = [group.has_backlog]
    request = asyncio.create_task(group.append(make_events(1)))
    await asyncio.sleep(0)
    backlog.append(group.has_backlog)
    task = asyncio.create_task(group.run())
    await request
    backlog.append(group.has_backlog)
    task.cancel()
    assert backlog == [False, True, False]


async def test_a_cancelled_request_does_not_affect_the_others(ledger: Ledger, group: GroupCommit) -> None:
    cancelled, other = [asyncio.create_task(group.append([row])) for row in make_events(2)]
    await asyncio.sleep(0)
    cancelled.cancel()
    (seq,) = await other
    assert (await stored_bodies(ledger))[seq] == b"1"


# --- faulty events --------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_only_the_faulty_event_fails(
    ledger: Ledger, group: GroupCommit, place: int, changes: dict[str, Any]
) -> None:
    requests = [[row] for row in make_events(5)]
    requests[place] = make_events(5, **changes)[place : place + 1]
    answers = await append_all(group, *requests)
    failure = answers.pop(place)
    assert isinstance(failure, EventNotStorable)
    stored = await stored_bodies(ledger)
    others = [row.raw for n, row in enumerate(make_events(5)) if n != place]
    assert [stored[seq] for (seq,) in answers] == others
    assert len(stored) == 4


async def test_several_faulty_events_fail_and_the_others_are_stored(
    ledger: Ledger, group: GroupCommit
) -> None:
    faulty = make_events(6, content_type=None)
    answers = await append_all(
        group, *([faulty[n] if n % 2 else row] for n, row in enumerate(make_events(6)))
    )
    assert [isinstance(answer, EventNotStorable) for answer in answers] == [False, True] * 3
    assert sorted((await stored_bodies(ledger)).values()) == [b"0", b"2", b"4"]


async def test_the_events_of_one_request_are_stored_all_or_none(ledger: Ledger, group: GroupCommit) -> None:
    good, faulty = make_events(2)[0], make_events(2, content_type=None)[1]
    with pytest.raises(EventNotStorable):
        await group.append([good, faulty])
    assert await stored_bodies(ledger) == {}


async def test_the_error_has_the_reason_and_quotes_no_data(group: GroupCommit) -> None:
    secret = make_event_row(b"secret-body", parsed=make_event(phone="+34600000001"), content_type=None)
    with pytest.raises(
        EventNotStorable, match=r"the ledger cannot store this event: .*content_type"
    ) as raised:
        await group.append([secret])
    assert "+34600000001" not in str(raised.value)
    assert "secret-body" not in str(raised.value)


async def test_the_group_after_a_faulty_event_is_one_commit_again(
    group: GroupCommit, commits: list[Any]
) -> None:
    await append_all(group, *([row] for row in [*make_events(3), *make_events(1, content_type=None)]))
    commits.clear()
    await append_all(group, *([row] for row in make_events(3)))
    assert len(commits) == 1


# --- a ledger that cannot be written (SQLite: another connection has the write lock) ---------------


@pytest.fixture
async def locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Ledger, sqlite3.Connection]]:
    """A ledger that waits briefly for locks, and the connection that has the write lock."""
    monkeypatch.setattr("relay.ledger.sqlite.BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path / 'locked.db'}")
    await ledger.open()
    holder = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield ledger, holder
    holder.close()
    await ledger.close()


async def test_requests_fail_at_once_if_the_file_of_the_ledger_was_removed(tmp_path: Path) -> None:
    path = tmp_path / "removed.db"
    async with open_ledger(f"sqlite:///{path}") as ledger, running(ledger, hold_seconds=3_600) as group:
        assert await append_all(group, make_events(1)) == [[1]]
        path.unlink()
        failures = await append_all(group, *([row] for row in make_events(3)))
    assert [type(failure) for failure in failures] == [LedgerUnusable] * 3


async def test_requests_fail_after_the_hold_and_not_before(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, _ = locked
    async with running(ledger, hold_seconds=0.3) as group:
        started = time.monotonic()
        answers = await append_all(group, *([row] for row in make_events(3)))
        waited = time.monotonic() - started
    assert [type(answer) for answer in answers] == [LedgerUnavailable] * 3
    assert all("locked.db cannot be used: database is locked" in str(answer) for answer in answers)
    assert 0.3 <= waited < PATIENCE


async def test_requests_succeed_if_the_lock_is_released_within_the_hold(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, holder = locked
    async with running(ledger, hold_seconds=5) as group:
        requests = asyncio.create_task(append_all(group, *([row] for row in make_events(3))))
        await asyncio.sleep(0.2)
        assert not requests.done()
        holder.execute("ROLLBACK")
        assert await requests == [[1], [2], [3]]


async def test_events_are_stored_again_once_the_ledger_is_available(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, holder = locked
    async with running(ledger, hold_seconds=0) as group:
        with pytest.raises(LedgerUnavailable):
            await group.append(make_events(1))
        holder.execute("ROLLBACK")
        assert await group.append(make_events(1)) == [1]
    assert await ledger.read(count_events) == (1, 1, 0)


# --- times of arrival -----------------------------------------------------------------------------


def move(clock: Clock) -> Iterator[None]:
    """Let the clock advance, stop, and be set back by an hour."""
    for step in (SECOND, 0, 0, -3_600 * SECOND, 0, SECOND):
        clock.now += step
        yield


def test_times_of_arrival_grow_whatever_the_clock_does(ledger: Ledger, clock: Clock) -> None:
    group = GroupCommit(ledger, on_append=ignore)
    times = [group.next_received_at() for _ in move(clock)]
    assert times == sorted(set(times))


def test_a_time_of_arrival_is_that_of_the_clock_while_it_advances(ledger: Ledger, clock: Clock) -> None:
    group = GroupCommit(ledger, on_append=ignore)
    for _ in range(3):
        clock.advance(1)
        assert group.next_received_at() == clock.now


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("too deep"), OSError(5, "I/O error")], ids=repr
)
@pytest.mark.parametrize("in_the_ledger", [True, False])
async def test_a_fault_of_the_machine_is_held_and_then_refuses_no_event_for_good(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception, *, in_the_ledger: bool
) -> None:
    def fail(*_: Any) -> None:
        raise error

    async with running(ledger, hold_seconds=0) as group:
        with monkeypatch.context() as patch:
            patch.setattr(*((journal, "append", fail) if in_the_ledger else (ledger, "write", fail)))
            (result,) = await append_all(group, make_events(1))
        assert isinstance(result, LedgerUnavailable)
        assert await append_all(group, make_events(1)) == [[1]]
