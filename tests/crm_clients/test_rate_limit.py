import asyncio

import pytest

from crm_clients.rate_limit import RateLimiter
from tests.support.fake_time import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def limiter_of(time: FakeTime, rate: float | None) -> RateLimiter:
    return RateLimiter(rate, clock=time.clock, sleep=time.sleep)


async def test_requests_are_spaced_evenly(time: FakeTime) -> None:
    limiter = limiter_of(time, 50)
    for _ in range(6):
        await limiter.acquire()
    assert time.slept == pytest.approx([0.02] * 5)


async def test_concurrent_requests_get_consecutive_slots() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    limiter = RateLimiter(50, clock=lambda: 1_000.0, sleep=sleep)
    await asyncio.gather(*(limiter.acquire() for _ in range(6)))
    assert waits == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])


async def test_idle_time_does_not_allow_a_burst(time: FakeTime) -> None:
    limiter = limiter_of(time, 20)
    await limiter.acquire()
    time.now += 10
    for _ in range(3):
        await limiter.acquire()
    assert time.slept == pytest.approx([0.05, 0.05])


async def test_without_a_rate_no_request_waits(time: FakeTime) -> None:
    limiter = limiter_of(time, None)
    for _ in range(1_000):
        await limiter.acquire()
    assert time.slept == []


async def test_without_an_injected_clock_it_really_waits() -> None:
    limiter = RateLimiter(1_000)
    started = asyncio.get_running_loop().time()
    for _ in range(6):
        await limiter.acquire()
    assert asyncio.get_running_loop().time() - started >= 0.004


def test_a_block_lasts_as_long_as_the_longest_of_its_reasons(time: FakeTime) -> None:
    limiter = limiter_of(time, None)
    assert limiter.blocked_for == 0
    limiter.block_for(0.2)
    limiter.block_for(0.05)
    assert limiter.blocked_for == pytest.approx(0.2)
    time.now += 0.21
    assert limiter.blocked_for == 0
