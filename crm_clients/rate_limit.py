"""How many requests a vendor permits: named rate_limits, each at its own pace, each spent on its own."""

import asyncio
from typing import Final

WRITES: Final = "writes"
"""The rate_limit of every request that names no other."""


class RateLimiter:
    """The requests of one sort, evenly spaced, `rate` a second at most; None: as many as there are.

    Evenly, because a window of the vendor's may begin at any moment: a burst at its end and one at
    the next one's beginning would fall into one.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._next = 0.0
        self._blocked_until = 0.0

    async def acquire(self) -> None:
        """Return when it is this request's turn; turns are given in the order of asking."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + (1 / self.rate if self.rate else 0.0)
        if mine > now:
            await asyncio.sleep(mine - now)

    def block_for(self, seconds: float) -> None:
        """The vendor permits no more for so long."""
        self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + seconds)

    @property
    def blocked_for(self) -> float:
        """Seconds until the vendor permits more; 0 while it does."""
        return max(0.0, self._blocked_until - asyncio.get_running_loop().time())
