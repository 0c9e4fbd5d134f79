"""The limit of requests that all processes of a ledger share."""

import asyncio

from relay.ledger import Ledger
from relay.ledger.request_limit import SharedRequestLimit
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger


def limit_of(ledger: Ledger) -> SharedRequestLimit:
    return SharedRequestLimit(ledger, per_minute=2)


async def test_more_requests_than_the_limit_wait_until_the_first_is_a_minute_old(
    ledger: Ledger, clock: Clock
) -> None:
    limit = limit_of(ledger)
    assert await limit.acquire() == 0
    clock.advance(20)
    assert await limit.acquire() == 0
    assert await limit.acquire() == 41  # a minute, and a second for the way to CloudTalk
    clock.advance(41)
    assert await limit.acquire() == 0
    assert await limit.acquire() == 20


async def test_processes_share_one_limit(ledger: Ledger, url: str, clock: Clock) -> None:
    async with open_ledger(url, clock=clock, owner="other/1") as other:
        limits = [limit_of(ledger), limit_of(other)] * 5
        waits = await asyncio.gather(*(limit.acquire() for limit in limits))
    assert sorted(waits) == [0, 0, 61, 61, 61, 61, 61, 61, 61, 61]


async def test_a_larger_limit_of_another_process_uses_up_a_smaller_one(ledger: Ledger, clock: Clock) -> None:
    large = SharedRequestLimit(ledger, per_minute=4)
    for _ in range(4):
        assert await large.acquire() == 0
        clock.advance(10)
    assert await limit_of(ledger).acquire() == 41  # the last but one was 20 seconds ago


async def test_no_process_sends_while_cloudtalk_accepts_nothing(
    ledger: Ledger, url: str, clock: Clock
) -> None:
    async with open_ledger(url, clock=clock, owner="other/1") as other:
        await limit_of(ledger).block(30)
        await limit_of(ledger).block(10)  # the longer block stays in force
        assert await limit_of(other).acquire() == 30
        clock.advance(30)
        assert await limit_of(other).acquire() == 0


async def test_a_clock_that_is_set_back_neither_exceeds_the_limit_nor_stops_the_requests(
    ledger: Ledger, clock: Clock
) -> None:
    limit = limit_of(ledger)
    await limit.acquire()
    await limit.acquire()
    await limit.block(600)
    clock.advance(-86_400)
    assert await limit.acquire() == 61
    clock.advance(60)
    assert await limit.acquire() == 1
    clock.advance(1)
    assert await limit.acquire() == 0
