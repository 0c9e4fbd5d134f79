"""Budgets: an even pace, and none of it while the vendor says so."""

import asyncio
import time

from crm_clients.rate_limit import RateLimiter


async def test_requests_keep_to_the_rate_also_side_by_side() -> None:
    rate_limit = RateLimiter(50)
    begin = time.monotonic()
    await asyncio.gather(*(rate_limit.acquire() for _ in range(6)))
    assert 0.1 <= time.monotonic() - begin < 1


async def test_it_does_not_save_up_turns_while_idle() -> None:
    rate_limit = RateLimiter(20)
    await rate_limit.acquire()
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    for _ in range(3):
        await rate_limit.acquire()
    assert time.monotonic() - begin >= 0.099


async def test_without_a_rate_nothing_waits() -> None:
    rate_limit = RateLimiter(None)
    begin = time.monotonic()
    for _ in range(1_000):
        await rate_limit.acquire()
    assert time.monotonic() - begin < 0.5


async def test_one_that_is_spent_says_for_how_long() -> None:
    rate_limit = RateLimiter(None)
    assert rate_limit.blocked_for == 0
    rate_limit.block_for(0.2)
    rate_limit.block_for(0.05)  # a shorter word does not take back a longer one
    assert 0.1 < rate_limit.blocked_for <= 0.2
    await asyncio.sleep(0.21)
    assert rate_limit.blocked_for == 0
