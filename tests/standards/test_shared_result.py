"""One result for all who ask within a short time."""

import asyncio
from contextlib import suppress

import pytest

from relay.standards.shared_result import SharedResult


class Work:
    def __init__(self) -> None:
        self.runs = 0
        self.may_end = asyncio.Event()

    async def run(self) -> int:
        self.runs += 1
        await self.may_end.wait()
        return self.runs


async def test_all_who_ask_meanwhile_get_one_result() -> None:
    work = Work()
    shared = SharedResult(work.run, interval_seconds=60, timeout_seconds=5)
    asking = [asyncio.create_task(shared.get()) for _ in range(3)]
    await asyncio.sleep(0)
    work.may_end.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await shared.get() == 1


async def test_after_the_interval_the_work_is_done_again() -> None:
    work = Work()
    work.may_end.set()
    shared = SharedResult(work.run, interval_seconds=0, timeout_seconds=5)
    assert [await shared.get(), await shared.get()] == [1, 2]


async def test_one_who_asks_waits_no_longer_than_the_timeout_and_cancels_nothing() -> None:
    work = Work()
    shared = SharedResult(work.run, interval_seconds=0, timeout_seconds=0.01)
    with pytest.raises(TimeoutError):
        await shared.get()
    asking = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    work.may_end.set()
    await asyncio.sleep(0)
    assert (await shared.get(), work.runs) == (2, 2)
