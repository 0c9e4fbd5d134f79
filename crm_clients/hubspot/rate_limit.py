"""How fast the relay sends requests to HubSpot: nine tenths of HubSpot's limit, evenly spaced.

HubSpot: 100 or 190 requests in any ten seconds per app, and five searches a second per account.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from crm_clients.rate_limit import RateLimiter
from relay.standards.numbers import parse_digits

_SHARE_OF_LIMIT: Final = 0.9
"""The reserve of a tenth covers requests that reach HubSpot late, in a window that is full already."""

_INITIAL_RATE: Final = 100 / 10.0
"""HubSpot: the limit of the smallest accounts, 100 requests in ten seconds."""

_CATCH_UP: Final = 0.5
"""A request that was released late shortens the next interval, at most by this part of it."""


class IntervalRateLimiter(RateLimiter):
    """Keeps an interval of 1/`rate` seconds between requests, counted from their actual release.

    So requests that waited while the event loop was blocked do not leave in one burst afterwards.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(rate, clock=clock, sleep=sleep)
        self._queue = asyncio.Lock()
        self._released_at = 0.0

    async def acquire(self) -> None:
        """Wait until this request may be sent. Requests are released in the order of their calls."""
        async with self._queue:
            interval = 1 / self.rate if self.rate else 0.0
            due = self._released_at + interval
            if due > self._clock():
                await self._sleep(due - self._clock())
            now = self._clock()
            self._released_at = now - min(now - due, interval * _CATCH_UP)


class AdaptiveRateLimiter(IntervalRateLimiter):
    """Follows the limit in HubSpot's response headers; `max_rate` per second is an upper bound to it."""

    def __init__(self, max_rate: float | None = None) -> None:
        super().__init__(_lower(_INITIAL_RATE * _SHARE_OF_LIMIT, max_rate))
        self._max_rate = max_rate

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Adopt the limit that a response states; without a readable one the rate stays.

        HubSpot: `X-HubSpot-RateLimit-Max` requests in `X-HubSpot-RateLimit-Interval-Milliseconds`.
        """
        requests = parse_digits(headers.get("x-hubspot-ratelimit-max", ""))
        milliseconds = parse_digits(headers.get("x-hubspot-ratelimit-interval-milliseconds", ""))
        if requests and milliseconds:
            self.rate = _lower(requests * 1000 / milliseconds * _SHARE_OF_LIMIT, self._max_rate)


def _lower(rate: float, bound: float | None) -> float:
    return rate if bound is None else min(rate, bound)
