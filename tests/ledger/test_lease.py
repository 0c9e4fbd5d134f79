"""Two processes and one lease, over one ledger: one works, the other stands by and takes over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.ledger import LeaseLost, Ledger, LedgerUnavailable
from relay.ledger.lease import Lease, run_in_slices
from relay.ledger.notifications import wait_for_event
from tests.support.clock import Clock

SECONDS = 15.0
Pair = tuple[Lease, Lease]


@asynccontextmanager
async def opened(url: str, clock: Clock, owner: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(url, clock=clock)
    ledger.owner = owner
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledgers(ledger_url: str, clock: Clock) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """One database as two processes have it."""
    async with opened(ledger_url, clock, "here/1/1") as one, opened(ledger_url, clock, "here/2/2") as other:
        yield one, other


@pytest.fixture
def leases(ledgers: tuple[Ledger, Ledger]) -> Pair:
    one, other = (Lease(ledger, "fold", seconds=SECONDS, standby_seconds=0.01) for ledger in ledgers)
    return one, other


async def prove(lease: Lease) -> None:
    await lease._ledger.write(lease.check)


async def stands_by(task: asyncio.Task[None]) -> bool:
    """Whether it is still without the lease after it has asked a few times."""
    await asyncio.sleep(0.1)
    return not task.done()


@pytest.fixture
async def standby(leases: Pair) -> AsyncIterator[asyncio.Task[None]]:
    """The first has the lease, and the second waits for it."""
    one, other = leases
    await one.acquire()
    task = asyncio.create_task(other.acquire())
    assert await stands_by(task)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_who_stands_by_has_it_once_it_is_released(leases: Pair, standby: asyncio.Task[None]) -> None:
    one, other = leases
    await one.release()
    await asyncio.wait_for(standby, 5)
    await prove(other)
    with pytest.raises(LeaseLost):
        await prove(one)


async def test_who_stands_by_has_it_once_it_has_run_out(
    leases: Pair, standby: asyncio.Task[None], clock: Clock
) -> None:
    clock.advance(SECONDS - 1)
    assert await stands_by(standby)
    clock.advance(1)
    await asyncio.wait_for(standby, 5)
    with pytest.raises(LeaseLost):
        await prove(leases[0])


async def test_each_proof_holds_it_on(leases: Pair, standby: asyncio.Task[None], clock: Clock) -> None:
    for _ in range(3):
        clock.advance(SECONDS - 1)
        await prove(leases[0])
    assert await stands_by(standby)


async def test_keeping_holds_it_on_while_there_is_nothing_to_write(
    leases: Pair, standby: asyncio.Task[None], clock: Clock
) -> None:
    for _ in range(6):
        clock.advance(SECONDS / 2)
        await leases[0].renew()
    assert await stands_by(standby)


@pytest.fixture
def writes(ledgers: tuple[Ledger, Ledger], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every transaction that is asked of the first ledger."""
    asked: list[Any] = []
    write = ledgers[0].write

    async def counted(work: Any) -> Any:
        asked.append(work)
        return await write(work)

    monkeypatch.setattr(ledgers[0], "write", counted)
    return asked


async def test_keeping_writes_only_once_a_third_has_run_out(
    leases: Pair, writes: list[Any], clock: Clock
) -> None:
    await leases[0].acquire()
    writes.clear()
    clock.advance(SECONDS / 3)
    await leases[0].renew()
    assert writes == []
    clock.advance(0.001)
    await leases[0].renew()
    await leases[0].renew()
    assert len(writes) == 1


async def test_keeping_takes_a_proof_for_its_own(leases: Pair, writes: list[Any], clock: Clock) -> None:
    await leases[0].acquire()
    clock.advance(SECONDS / 2)
    await prove(leases[0])
    writes.clear()
    await leases[0].renew()
    assert writes == []


async def test_keeping_what_is_lost_says_so(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(SECONDS)
    await other.acquire()
    with pytest.raises(LeaseLost):
        await one.renew()


async def test_a_clock_that_is_set_back_is_kept_up_with(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(-3_600)
    await one.renew()
    task = asyncio.create_task(other.acquire())
    assert await stands_by(task)
    await one.release()
    await asyncio.wait_for(task, 5)


async def test_who_lost_it_releases_nothing(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(SECONDS)
    await other.acquire()
    await one.release()
    await prove(other)
    task = asyncio.create_task(one.acquire())
    assert await stands_by(task)
    await other.release()
    await asyncio.wait_for(task, 5)


async def test_who_never_had_it_proves_and_releases_nothing(
    leases: Pair, standby: asyncio.Task[None]
) -> None:
    never = Lease(leases[1]._ledger, "fold", seconds=SECONDS)
    with pytest.raises(LeaseLost):
        await prove(never)
    await never.release()
    assert await stands_by(standby)


async def test_a_release_that_the_ledger_cannot_take_is_left_to_run_out(
    leases: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(_: Any) -> None:
        raise LedgerUnavailable

    one, other = leases
    await one.acquire()
    monkeypatch.setattr(one._ledger, "write", locked)
    await one.release()
    task = asyncio.create_task(other.acquire())
    assert await stands_by(task)
    task.cancel()


async def test_a_release_does_not_wait_for_a_ledger_that_hangs(
    leases: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: Any) -> None:
        await asyncio.sleep(60)

    await leases[0].acquire()
    monkeypatch.setattr(leases[0]._ledger, "write", hangs)
    async with asyncio.timeout(3):
        await leases[0].release()


async def test_a_lease_that_is_had_is_told_with_its_token(leases: Pair) -> None:
    with capture_logs() as logs:
        await leases[0].acquire()
    assert [(line["event"], line["lease"], line["owner"], line["token"]) for line in logs] == [
        ("lease.acquired", "fold", "here/1/1", 1)
    ]


# --- waiting for an event or a while --------------------------------------------------------------


async def test_a_wait_ends_with_the_event_or_with_the_time() -> None:
    event = asyncio.Event()
    await wait_for_event(event, 0.01)
    assert not event.is_set()
    asyncio.get_running_loop().call_soon(event.set)
    async with asyncio.timeout(5):
        await wait_for_event(event, 3_600)


async def test_a_cancellation_that_comes_together_with_the_event_is_not_lost() -> None:
    event = asyncio.Event()
    task = asyncio.create_task(wait_for_event(event, 3_600))
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- taking turns -------------------------------------------------------------------------------


async def test_a_long_work_lets_the_holder_have_its_turns(
    leases: Pair,
) -> None:
    fold, long = leases
    took: list[str] = []

    async def hold() -> None:
        await fold.acquire()
        took.append("fold")

    async def portion() -> bool:
        await prove(long)
        took.append("portion")
        if len(took) < 3:
            turns.append(asyncio.create_task(hold()))
        return len(took) < 3

    turns: list[asyncio.Task[None]] = []
    await fold.acquire()
    await run_in_slices(long, portion, hold_seconds=0, yield_seconds=0.3)
    await asyncio.gather(*turns)
    assert took == ["portion", "fold", "portion"]


async def test_a_long_work_that_fails_lets_go_of_the_lease(leases: Pair) -> None:
    fold, long = leases

    async def portion() -> bool:
        raise LedgerUnavailable("the disk is full")

    with pytest.raises(LedgerUnavailable):
        await run_in_slices(long, portion)
    await asyncio.wait_for(fold.acquire(), 1)
