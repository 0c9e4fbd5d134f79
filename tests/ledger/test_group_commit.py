"""Who waits at the same time shares a commit, and no event harms its neighbours."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import Connection, select

from relay.instants import SECOND
from relay.ledger import Ledger, LedgerUnavailable, journal
from relay.ledger.errors import EventNotStorable
from relay.ledger.group_commit import GroupCommit
from relay.ledger.journal import NewEvent
from relay.ledger.tables import events
from tests.support.clock import Clock
from tests.support.samples import make_event, make_event_row

T = TypeVar("T")

POISONED: dict[str, Any] = {
    "a column that must not be empty": {"content_type": None},
    "text that is no Unicode": {"parsed": make_event(note="\ud800")},
    "a path that is no Unicode": {"path": "\udc80"},
    "what JSON cannot say": {"parsed": make_event(note=object())},
    "a body that is no bytes": {"raw": "text"},
}


def nothing() -> None:
    """What is called after an append, where a test does not care."""


@asynccontextmanager
async def running(
    ledger: Ledger,
    *,
    on_append: Callable[[], None] = nothing,
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
    """Every transaction that is asked of the ledger."""
    asked: list[Any] = []
    write = ledger.write

    async def counted(work: Callable[[Connection], T]) -> T:
        asked.append(work)
        return await write(work)

    monkeypatch.setattr(ledger, "write", counted)
    return asked


async def raws(ledger: Ledger) -> dict[int, bytes]:
    found = await ledger.read(lambda c: c.execute(select(events.c.seq, events.c.raw)).all())
    return {row.seq: row.raw for row in found}


def rows(count: int, **changes: Any) -> list[NewEvent]:
    return [msgspec.structs.replace(make_event_row(str(n).encode(), at=n), **changes) for n in range(count)]


async def appended(group: GroupCommit, *given: list[NewEvent]) -> list[Any]:
    return await asyncio.gather(*(group.append(each) for each in given), return_exceptions=True)


# --- one commit for many --------------------------------------------------------------------------


async def test_those_who_wait_together_share_one_commit(
    ledger: Ledger, group: GroupCommit, commits: list[Any]
) -> None:
    numbers = await appended(group, *([row] for row in rows(200)))
    assert len(commits) == 1
    assert [(await raws(ledger))[seq] for (seq,) in numbers] == [row.raw for row in rows(200)]


async def test_those_who_come_during_a_commit_are_the_next_group(
    group: GroupCommit, commits: list[Any]
) -> None:
    first, *others = rows(100)
    alone = asyncio.create_task(group.append([first]))
    while not commits:
        await asyncio.sleep(0)
    await appended(group, *([row] for row in others))
    assert len(commits) == 2
    assert await alone == [1]


async def test_a_lone_event_waits_for_nobody(group: GroupCommit, commits: list[Any]) -> None:
    for row in rows(3):
        await group.append([row])
    assert len(commits) == 3


async def test_more_than_the_largest_group_are_several_commits(ledger: Ledger, commits: list[Any]) -> None:
    async with running(ledger, max_group_requests=10) as group:
        numbers = await appended(group, *([row] for row in rows(25)))
    assert len(commits) == 3
    assert numbers == [[seq] for seq in range(1, 26)]


async def test_the_events_of_one_body_are_numbered_in_its_order(ledger: Ledger, group: GroupCommit) -> None:
    several = rows(6)
    first, second = await appended(group, several[:2], several[2:])
    stored = await raws(ledger)
    assert [stored[seq] for seq in [*first, *second]] == [row.raw for row in several]


async def test_the_fold_is_woken_once_the_group_is_on_disk(ledger: Ledger) -> None:
    woken: list[int] = []
    async with running(ledger, on_append=lambda: woken.append(1)) as group:
        await appended(group, *([row] for row in rows(5)))
        await asyncio.sleep(0)
    assert woken == [1]


async def test_it_is_pressing_while_someone_waits_for_a_commit(ledger: Ledger) -> None:
    group = GroupCommit(ledger, on_append=nothing)
    pressing = [group.has_backlog]
    waiting = asyncio.create_task(group.append(rows(1)))
    await asyncio.sleep(0)
    pressing.append(group.has_backlog)
    task = asyncio.create_task(group.run())
    await waiting
    pressing.append(group.has_backlog)
    task.cancel()
    assert pressing == [False, True, False]


async def test_who_gave_up_waiting_harms_no_neighbour(ledger: Ledger, group: GroupCommit) -> None:
    gone, stays = [asyncio.create_task(group.append([row])) for row in rows(2)]
    await asyncio.sleep(0)
    gone.cancel()
    (seq,) = await stays
    assert (await raws(ledger))[seq] == b"1"


# --- a poisoned group -----------------------------------------------------------------------------


@pytest.mark.parametrize("changes", POISONED.values(), ids=POISONED)
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_only_the_guilty_event_is_refused(
    ledger: Ledger, group: GroupCommit, place: int, changes: dict[str, Any]
) -> None:
    given = [[row] for row in rows(5)]
    given[place] = rows(5, **changes)[place : place + 1]
    answers = await appended(group, *given)
    guilty = answers.pop(place)
    assert isinstance(guilty, EventNotStorable)
    stored = await raws(ledger)
    innocent = [row.raw for n, row in enumerate(rows(5)) if n != place]
    assert [stored[seq] for (seq,) in answers] == innocent
    assert len(stored) == 4


async def test_several_guilty_events_are_refused_and_the_rest_written(
    ledger: Ledger, group: GroupCommit
) -> None:
    bad = rows(6, content_type=None)
    answers = await appended(group, *([bad[n] if n % 2 else row] for n, row in enumerate(rows(6))))
    assert [isinstance(answer, EventNotStorable) for answer in answers] == [False, True] * 3
    assert sorted((await raws(ledger)).values()) == [b"0", b"2", b"4"]


async def test_the_events_of_one_body_are_written_all_or_none(ledger: Ledger, group: GroupCommit) -> None:
    good, bad = rows(2)[0], rows(2, content_type=None)[1]
    with pytest.raises(EventNotStorable):
        await group.append([good, bad])
    assert await raws(ledger) == {}


async def test_a_refusal_says_why_and_quotes_nothing_of_the_event(group: GroupCommit) -> None:
    secret = make_event_row(b"secret-body", parsed=make_event(phone="+34600000001"), content_type=None)
    with pytest.raises(
        EventNotStorable, match=r"the ledger cannot store this event: .*content_type"
    ) as refusal:
        await group.append([secret])
    assert "+34600000001" not in str(refusal.value)
    assert "secret-body" not in str(refusal.value)


async def test_after_a_poisoned_group_the_next_is_one_commit_again(
    group: GroupCommit, commits: list[Any]
) -> None:
    await appended(group, *([row] for row in [*rows(3), *rows(1, content_type=None)]))
    commits.clear()
    await appended(group, *([row] for row in rows(3)))
    assert len(commits) == 1


# --- a ledger that cannot be written (SQLite: another holds the write lock) -----------------------


@pytest.fixture
async def locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Ledger, sqlite3.Connection]]:
    """A ledger that waits briefly for a lock, and who holds it."""
    monkeypatch.setattr("relay.ledger.sqlite._BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path / 'locked.db'}")
    await ledger.open()
    holder = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield ledger, holder
    holder.close()
    await ledger.close()


async def test_a_locked_ledger_is_said_to_be_unavailable_after_the_hold_and_not_before(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, _ = locked
    async with running(ledger, hold_seconds=0.3) as group:
        started = time.monotonic()
        answers = await appended(group, *([row] for row in rows(3)))
        waited = time.monotonic() - started
    assert [type(answer) for answer in answers] == [LedgerUnavailable] * 3
    assert all("locked.db cannot be used: database is locked" in str(answer) for answer in answers)
    assert 0.3 <= waited < 2


async def test_a_lock_that_is_let_go_within_the_hold_is_never_noticed(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, holder = locked
    async with running(ledger, hold_seconds=5) as group:
        waiting = asyncio.create_task(appended(group, *([row] for row in rows(3))))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        holder.execute("ROLLBACK")
        assert await waiting == [[1], [2], [3]]


async def test_a_ledger_that_was_unavailable_takes_events_again_without_a_restart(
    locked: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, holder = locked
    async with running(ledger, hold_seconds=0) as group:
        with pytest.raises(LedgerUnavailable):
            await group.append(rows(1))
        holder.execute("ROLLBACK")
        assert await group.append(rows(1)) == [1]
    assert await ledger.read(journal.count) == (1, 1)


# --- stamps ---------------------------------------------------------------------------------------


def ticks(clock: Clock) -> Iterator[None]:
    """A clock that goes on, stands still, and is set back by an hour."""
    for step in (SECOND, 0, 0, -3_600 * SECOND, 0, SECOND):
        clock.now += step
        yield


def test_stamps_grow_whatever_the_clock_does(ledger: Ledger, clock: Clock) -> None:
    group = GroupCommit(ledger, on_append=nothing)
    stamps = [group.next_received_at() for _ in ticks(clock)]
    assert stamps == sorted(set(stamps))


def test_a_stamp_is_the_time_where_the_clock_goes_on(ledger: Ledger, clock: Clock) -> None:
    group = GroupCommit(ledger, on_append=nothing)
    for _ in range(3):
        clock.advance(1)
        assert group.next_received_at() == clock.now
