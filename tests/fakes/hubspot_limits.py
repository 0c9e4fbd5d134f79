"""HubSpot's two limits that matter every second, counted strictly: in any window, wherever it begins."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Window:
    """At most `most` requests in any `seconds`; one that is refused does not count."""

    most: int
    seconds: float
    _taken: deque[float] = field(default_factory=deque)

    def take(self) -> bool:
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        if len(self._taken) >= self.most:
            return False
        self._taken.append(now)
        return True

    @property
    def remaining(self) -> int:
        return self.most - len(self._taken)


@dataclass
class Limits:
    """Per account: everything but searches in ten seconds, searches in one, and everything in a day."""

    burst: Window = field(default_factory=lambda: Window(100, 10))
    search: Window = field(default_factory=lambda: Window(5, 1))
    daily_remaining: int = 250_000

    def refusal(self, *, searching: bool) -> str | None:
        """The policy that refuses this request."""
        if self.daily_remaining <= 0:
            return "DAILY"
        if not (self.search if searching else self.burst).take():
            return "SECONDLY" if searching else "TEN_SECONDLY_ROLLING"
        self.daily_remaining -= 1
        return None

    def headers(self, *, searching: bool) -> dict[str, str]:
        """HubSpot: the answer to a search says nothing of limits."""
        if searching:
            return {}
        return {
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily_remaining),
            "X-HubSpot-RateLimit-Max": str(self.burst.most),
            "X-HubSpot-RateLimit-Remaining": str(self.burst.remaining),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(self.burst.seconds * 1000)),
        }
