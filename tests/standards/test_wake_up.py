"""A wait that ends with a wake-up, with its time or with a cancellation, and loses none of them."""

import asyncio

import pytest

from relay.standards.wake_up import WakeUp
from tests.support.patience import PATIENCE


async def test_a_wait_ends_with_its_time() -> None:
    wake_up = WakeUp()
    async with asyncio.timeout(PATIENCE):
        await wake_up.wait(0.01)
    assert not wake_up.is_set()


async def test_a_wait_ends_with_the_wake_up_and_not_before() -> None:
    wake_up = WakeUp()
    waiting = asyncio.create_task(wake_up.wait(3_600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    wake_up.set()
    wake_up.set()
    async with asyncio.timeout(PATIENCE):
        await waiting
    assert wake_up.is_set()


async def test_a_wake_up_before_the_wait_is_not_lost_until_it_is_cleared() -> None:
    wake_up = WakeUp()
    wake_up.set()
    async with asyncio.timeout(PATIENCE):
        await wake_up.wait(3_600)
    wake_up.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wake_up.wait(3_600)


async def test_a_time_limit_of_zero_ends_at_once() -> None:
    async with asyncio.timeout(PATIENCE):
        await WakeUp().wait(0)
        await WakeUp().wait(-1)


async def test_a_cancellation_that_comes_together_with_the_wake_up_is_not_lost() -> None:
    wake_up = WakeUp()
    task = asyncio.create_task(wake_up.wait(3_600))
    await asyncio.sleep(0)
    wake_up.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_time_of_an_earlier_wait_ends_no_later_one() -> None:
    wake_up = WakeUp()
    first = asyncio.create_task(wake_up.wait(0.02))
    await asyncio.sleep(0)
    wake_up.set()
    await first
    wake_up.clear()
    second = asyncio.create_task(wake_up.wait(3_600))
    await asyncio.sleep(0.05)
    assert not second.done()
    second.cancel()
