"""The rate of requests: from HubSpot's headers, bounded by the settings, evenly spaced."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from crm_clients.hubspot.rate_limit import AdaptiveRateLimiter, IntervalRateLimiter
from tests.support.fake_time import FakeTime


def headers(requests: Any, milliseconds: Any) -> dict[str, str]:
    return {
        "x-hubspot-ratelimit-max": str(requests),
        "x-hubspot-ratelimit-interval-milliseconds": str(milliseconds),
    }


def test_the_rate_begins_at_the_smallest_limit_and_follows_the_headers() -> None:
    limiter = AdaptiveRateLimiter()
    assert limiter.rate == 9
    limiter.update_from_headers(headers(190, 10_000))
    assert limiter.rate == pytest.approx(17.1)


def test_the_rate_of_the_settings_is_an_upper_bound() -> None:
    limiter = AdaptiveRateLimiter(5)
    limiter.update_from_headers(headers(190, 10_000))
    assert limiter.rate == 5
    limiter.update_from_headers(headers(40, 10_000))
    assert limiter.rate == pytest.approx(3.6)


@pytest.mark.parametrize("unreadable", [{}, headers("", ""), headers("-1", 10_000), headers(100, 0)])
def test_unreadable_headers_change_nothing(unreadable: dict[str, str]) -> None:
    limiter = AdaptiveRateLimiter()
    limiter.update_from_headers(unreadable)
    assert limiter.rate == 9


class StallingTime(FakeTime):
    """Its third sleep ends a tenth of a second late."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.now += 0.1 if len(self.slept) == 3 else 0.0


async def test_requests_do_not_leave_in_a_burst_after_a_stall() -> None:
    stalling = StallingTime()
    limiter = IntervalRateLimiter(50, clock=stalling.clock, sleep=stalling.sleep)
    released: list[float] = []

    async def request() -> None:
        await limiter.acquire()
        released.append(stalling.now)

    await asyncio.gather(*(request() for _ in range(8)))
    intervals = [later - earlier for earlier, later in pairwise(released)]
    assert intervals == pytest.approx([0.01, 0.02, 0.12, 0.01, 0.02, 0.02, 0.02])
