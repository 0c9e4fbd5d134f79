"""How fast HubSpot may be asked: as fast as it says, less a reserve, and evenly."""

import asyncio
from collections.abc import Mapping
from typing import Final

from crm_clients.rate_limit import RateLimiter

_RESERVE: Final = 0.9
"""A request can be late by a tenth of HubSpot's window and still fall into no full one."""

_BEGINNING: Final = 100 / 10.0
"""HubSpot: what the smallest accounts may do, 100 requests in ten seconds."""

_MAKE_UP: Final = 0.5
"""The part of a step, at most, by which one that woke late hastens the next."""


class Steps(RateLimiter):
    """Requests that follow one another in steps, as they leave: a stall is not made up by a burst."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._order = asyncio.Lock()
        self._last = 0.0

    async def acquire(self) -> None:
        """Return when it is this request's turn; turns are given in the order of asking."""
        async with self._order:
            loop = asyncio.get_running_loop()
            step = 1 / self.rate if self.rate else 0.0
            due = self._last + step
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            self._last = loop.time() - min(loop.time() - due, step * _MAKE_UP)


class AdaptiveRateLimiter(Steps):
    """As many as HubSpot permits less a reserve; `most` a second at most, whatever it permits."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(_slower(_BEGINNING * _RESERVE, most))
        self._most = most

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take what an answer says of the window: so many requests in so many milliseconds."""
        most, milliseconds = (
            _number(headers.get(f"x-hubspot-ratelimit-{name}")) for name in ("max", "interval-milliseconds")
        )
        if most and milliseconds:
            self.rate = _slower(most * 1000 / milliseconds * _RESERVE, self._most)


def _slower(one: float, other: float | None) -> float:
    return one if other is None else min(one, other)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
