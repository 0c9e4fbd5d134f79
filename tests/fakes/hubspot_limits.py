"""The rate limits of the fake account, counted strictly: in every window, whenever it begins."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Window:
    """At most `max_requests` in any `seconds`; a refused request does not count."""

    max_requests: int
    seconds: float
    _admitted: deque[float] = field(default_factory=deque)

    def admit(self) -> bool:
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - self.seconds:
            self._admitted.popleft()
        if len(self._admitted) >= self.max_requests:
            return False
        self._admitted.append(now)
        return True

    @property
    def remaining(self) -> int:
        return self.max_requests - len(self._admitted)


@dataclass
class Limits:
    """Per account: all requests but searches in ten seconds, searches in one, all requests in a day."""

    burst: Window = field(default_factory=lambda: Window(100, 10))
    search: Window = field(default_factory=lambda: Window(5, 1))
    daily_remaining: int = 250_000

    def exceeded_policy(self, *, searching: bool) -> str | None:
        """Count a request; return the policy that refuses it."""
        if self.daily_remaining <= 0:
            return "DAILY"
        if not (self.search if searching else self.burst).admit():
            return "SECONDLY" if searching else "TEN_SECONDLY_ROLLING"
        self.daily_remaining -= 1
        return None

    def headers(self, *, searching: bool) -> dict[str, str]:
        """HubSpot: the response to a search has no such headers."""
        if searching:
            return {}
        return {
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily_remaining),
            "X-HubSpot-RateLimit-Max": str(self.burst.max_requests),
            "X-HubSpot-RateLimit-Remaining": str(self.burst.remaining),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(self.burst.seconds * 1000)),
        }
