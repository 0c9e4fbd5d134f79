"""Rate limits of a vendor. Each has a name and is used up independently of the others."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

WRITES: Final = "writes"
"""The name of the default rate limit."""


class RateLimiter:
    """Spaces requests evenly, at most `rate` per second; None means no limit.

    Requests are spaced instead of sent in bursts, because the vendor's time window may begin at any
    moment: a burst at the end of one of our windows and a burst at the start of the next could fall
    into the same window of the vendor.

    `clock` returns seconds; `sleep` waits for as many.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._blocked_until = 0.0

    async def acquire(self) -> None:
        """Wait until this request may be sent. Requests are released in the order of their calls."""
        now = self._clock()
        send_at = max(now, self._next)
        self._next = send_at + (1 / self.rate if self.rate else 0.0)
        if send_at > now:
            await self._sleep(send_at - now)

    def block_for(self, seconds: float) -> None:
        """Record that the vendor accepts no requests for so long. A longer block stays in force."""
        self._blocked_until = max(self._blocked_until, self._clock() + seconds)

    @property
    def blocked_for(self) -> float:
        """Seconds until the vendor accepts requests again; 0 if it accepts them now."""
        return max(0.0, self._blocked_until - self._clock())
