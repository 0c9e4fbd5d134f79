"""Two processes and one lease: one works, the other waits and takes over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.ledger import LeaseLost, Ledger, LedgerUnavailable
from relay.ledger.lease_holder import Lease, run_in_slices
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE

SECONDS = 15.0
STANDBY_SECONDS = 0.01
Pair = tuple[Lease, Lease]


@pytest.fixture
async def ledgers(ledger_url: str, clock: Clock) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """The ledger of one database, as opened by two processes."""
    async with (
        open_ledger(ledger_url, clock=clock, owner="here/1/1") as first,
        open_ledger(ledger_url, clock=clock, owner="here/2/2") as second,
    ):
        yield first, second


@pytest.fixture
def leases(ledgers: tuple[Ledger, Ledger]) -> Pair:
    one, other = (
        Lease(ledger, "fold", seconds=SECONDS, standby_seconds=STANDBY_SECONDS) for ledger in ledgers
    )
    return one, other


async def check(lease: Lease) -> None:
    await lease._ledger.write(lease.check)


async def is_refused(task: asyncio.Task[None], lease: Lease) -> bool:
    """Whether the task, which acquires this lease, is refused several times."""
    tries = lease._ledger.writes
    while not task.done() and lease._ledger.writes < tries + 4:
        await asyncio.sleep(STANDBY_SECONDS)
    return not task.done()


@pytest.fixture
async def standby(leases: Pair) -> AsyncIterator[asyncio.Task[None]]:
    """The task of the second process, which waits while the first has the lease."""
    one, other = leases
    await one.acquire()
    task = asyncio.create_task(other.acquire())
    assert await is_refused(task, other)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_waiting_process_acquires_the_lease_after_its_release(
    leases: Pair, standby: asyncio.Task[None]
) -> None:
    one, other = leases
    await one.release()
    await asyncio.wait_for(standby, 5)
    await check(other)
    with pytest.raises(LeaseLost):
        await check(one)


async def test_a_waiting_process_acquires_the_lease_after_its_end(
    leases: Pair, standby: asyncio.Task[None], clock: Clock
) -> None:
    clock.advance(SECONDS - 1)
    assert await is_refused(standby, leases[1])
    clock.advance(1)
    await asyncio.wait_for(standby, 5)
    with pytest.raises(LeaseLost):
        await check(leases[0])


async def test_each_check_renews_the_lease(leases: Pair, standby: asyncio.Task[None], clock: Clock) -> None:
    for _ in range(3):
        clock.advance(SECONDS - 1)
        await check(leases[0])
        # In each round: a try that read the clock two rounds ago would take it for set back.
        assert await is_refused(standby, leases[1])


async def test_renewing_is_enough_while_there_is_nothing_to_write(
    leases: Pair, standby: asyncio.Task[None], clock: Clock
) -> None:
    for _ in range(6):
        clock.advance(SECONDS / 2)
        await leases[0].renew()
        assert await is_refused(standby, leases[1])


async def test_renewing_writes_only_after_a_third_of_the_length(
    leases: Pair, ledgers: tuple[Ledger, Ledger], clock: Clock
) -> None:
    await leases[0].acquire()
    writes = ledgers[0].writes
    clock.advance(SECONDS / 3)
    await leases[0].renew()
    assert ledgers[0].writes == writes
    clock.advance(0.001)
    await leases[0].renew()
    await leases[0].renew()
    assert ledgers[0].writes == writes + 1


async def test_renewing_is_not_needed_after_a_check(
    leases: Pair, ledgers: tuple[Ledger, Ledger], clock: Clock
) -> None:
    await leases[0].acquire()
    clock.advance(SECONDS / 2)
    await check(leases[0])
    writes = ledgers[0].writes
    await leases[0].renew()
    assert ledgers[0].writes == writes


async def test_renewing_a_lost_lease_is_an_error(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(SECONDS)
    await other.acquire()
    with pytest.raises(LeaseLost):
        await one.renew()


async def test_renewing_follows_a_clock_that_is_set_back(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(-3_600)
    await one.renew()
    task = asyncio.create_task(other.acquire())
    assert await is_refused(task, other)
    await one.release()
    await asyncio.wait_for(task, 5)


async def test_a_process_that_lost_the_lease_does_not_release_it(leases: Pair, clock: Clock) -> None:
    one, other = leases
    await one.acquire()
    clock.advance(SECONDS)
    await other.acquire()
    await one.release()
    await check(other)
    task = asyncio.create_task(one.acquire())
    assert await is_refused(task, one)
    await other.release()
    await asyncio.wait_for(task, 5)


async def test_a_process_that_never_had_the_lease_cannot_check_or_release_it(
    leases: Pair, standby: asyncio.Task[None]
) -> None:
    third = Lease(leases[1]._ledger, "fold", seconds=SECONDS)
    with pytest.raises(LeaseLost):
        await check(third)
    await third.release()
    assert await is_refused(standby, leases[1])


async def test_a_lease_whose_release_fails_is_left_to_expire(
    leases: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(_: Any) -> None:
        raise LedgerUnavailable

    one, other = leases
    await one.acquire()
    monkeypatch.setattr(one._ledger, "write", locked)
    await one.release()
    task = asyncio.create_task(other.acquire())
    assert await is_refused(task, other)
    task.cancel()


async def test_a_release_does_not_wait_for_a_ledger_that_hangs(
    leases: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: Any) -> None:
        await asyncio.Event().wait()

    await leases[0].acquire()
    monkeypatch.setattr(leases[0]._ledger, "write", hangs)
    async with asyncio.timeout(PATIENCE):
        await leases[0].release()


async def test_an_acquired_lease_is_logged_with_its_token(leases: Pair) -> None:
    with capture_logs() as logs:
        await leases[0].acquire()
    assert [(line["event"], line["lease"], line["owner"], line["token"]) for line in logs] == [
        ("lease.acquired", "fold", "here/1/1", 1)
    ]


# --- serving --------------------------------------------------------------------------------------


async def test_work_is_done_again_after_a_failure_and_after_a_lost_lease(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    one = Lease(ledgers[0], "fold", seconds=SECONDS, standby_seconds=0, retry_seconds=0)
    other = Lease(ledgers[1], "fold", seconds=SECONDS)
    failures: list[Exception] = []
    rounds = 0
    finished = asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise LedgerUnavailable("the disk is full")
        if rounds == 2:
            await other.preempt()
            await other.release()
            await check(one)
        finished.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        task = asyncio.create_task(one.serve(work, failures.append))
        await asyncio.wait_for(finished.wait(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (rounds, [str(failure) for failure in failures]) == (3, ["the disk is full"])
    assert [line["event"] for line in logs if line["event"] == "lease.lost"] == ["lease.lost"]


# --- slices ---------------------------------------------------------------------------------------


async def test_the_holder_works_between_the_slices_of_a_long_work(leases: Pair) -> None:
    fold, long = leases
    order: list[str] = []
    holders: list[asyncio.Task[None]] = []

    async def hold() -> None:
        await fold.acquire()
        order.append("fold")

    async def step() -> bool:
        await check(long)
        order.append("step")
        if len(order) < 3:
            holders.append(asyncio.create_task(hold()))
        return len(order) < 3

    await fold.acquire()
    await run_in_slices(long, step, hold_seconds=0, yield_seconds=0.3)
    await asyncio.gather(*holders)
    assert order == ["step", "fold", "step"]


async def test_a_long_work_that_fails_releases_the_lease(leases: Pair) -> None:
    fold, long = leases

    async def step() -> bool:
        raise LedgerUnavailable("the disk is full")

    with pytest.raises(LedgerUnavailable):
        await run_in_slices(long, step)
    await asyncio.wait_for(fold.acquire(), 1)
