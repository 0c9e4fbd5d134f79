"""How long a failed delivery waits for its next attempt, and when it is given up. Pure.

If the CRM works again, its deliveries are retried at once, but none earlier than the CRM asked for
(`not_before`). An outage of the CRM makes no delivery dead: only the time in which the destination delivered
other calls counts toward giving up.
"""

from typing import Final

import msgspec

from relay.instants import Duration, Instant, duration
from relay.ledger.deliveries import DueDelivery

_MOST_DOUBLINGS: Final = 30
"""2^30 times the first delay is longer than any wait, and still within the range of a float."""

_THROTTLED_SECONDS: Final = 10.0
"""The wait after a rate limit if the CRM asks for none: the longest common window (HubSpot: 10 s)."""

_SHORTEST_THROTTLED_SECONDS: Final = 1.0
"""A CRM that answers "too many requests, retry after 0 s" must not be asked in a tight loop."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """The section `[delivery]` of the settings.

    `jitter`, from 0 to 1, lengthens a wait by up to a fifth and never shortens it, so that deliveries that
    failed together are not retried together.
    """

    first_retry_seconds: float
    longest_retry_seconds: float
    give_up_after_hours: float

    def delay(self, attempts: int, *, after: float | None, jitter: float) -> Duration:
        """Return the wait after this many failed attempts: it doubles with each, up to the longest.

        `after`: the seconds that the CRM asked for. They count if they are more, up to the longest wait.
        """
        doublings = min(attempts - 1, _MOST_DOUBLINGS)
        seconds = max(self.first_retry_seconds * 2**doublings, after or 0)
        return _with_jitter(min(seconds, self.longest_retry_seconds), jitter)

    def asked_delay(self, after: float) -> Duration:
        """Return the wait that the CRM asked for, up to the longest: no recovery shortens it."""
        return duration(min(after, self.longest_retry_seconds))

    def throttled_delay(self, after: float | None, *, jitter: float) -> Duration:
        """Return the wait of one delivery whose rate limit is used up."""
        return _with_jitter(self.throttled_seconds(after), jitter)

    def throttled_seconds(self, after: float | None) -> float:
        """Return the seconds to wait after a rate limit was exceeded. `after`: what the CRM asked for."""
        asked = _THROTTLED_SECONDS if after is None else after
        return min(max(asked, _SHORTEST_THROTTLED_SECONDS), self.longest_retry_seconds)

    @property
    def longest_delay(self) -> Duration:
        """The longest possible wait, jitter included."""
        return _with_jitter(self.longest_retry_seconds, 1)

    @property
    def give_up_after(self) -> Duration:
        """The failing time after which a delivery is dead."""
        return duration(self.give_up_after_hours * 3600)


def failing_time(
    due: DueDelivery, *, now: Instant, delivered_at: Instant | None, longest: Duration
) -> Duration:
    """Return how long the delivery has failed while the destination delivered other calls.

    `delivered_at`: see `DestinationRow`. The time since the last attempt counts only
    if that was later, and at most `longest`, the longest wait: the rest passed while no relay ran, or the
    clock was set forward.
    """
    if due.attempted_at is None or delivered_at is None or delivered_at <= due.attempted_at:
        return Duration(due.failing_for)
    return Duration(due.failing_for + min(max(now - due.attempted_at, 0), longest))


def _with_jitter(seconds: float, jitter: float) -> Duration:
    return duration(seconds * (1 + jitter / 5))
