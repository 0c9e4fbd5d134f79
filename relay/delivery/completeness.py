"""When a call is complete, for destinations whose `update` is not "always". Pure."""

from typing import Final

from crm_clients.settings import DestinationSettings
from relay.call import Status
from relay.instants import SECOND, Duration, Instant, duration
from relay.ledger.deliveries import DueDelivery

ONGOING: Final = frozenset({Status.IN_PROGRESS, Status.ANSWERED})
"""The statuses of a call that is not over."""

NEVER_ENDED_HOURS: Final = 30
"""An ongoing call without an event for so long has lost its end. CloudTalk retries an event for 28 hours."""

_NEVER_ENDED: Final = duration(NEVER_ENDED_HOURS * 3600)

_CLOCK_ERROR: Final = Duration(60 * SECOND)
"""A change that is further ahead is from before the clock was set back: its time says nothing."""


def incomplete_until(due: DueDelivery, settings: DestinationSettings, *, now: Instant) -> Instant | None:
    """Return when the call will be complete if no event changes it; None if it is, or need not be.

    A call is complete once it is over and has not changed for `complete_after_seconds`.
    """
    if settings.update == "always" or due.changed_at > now + _CLOCK_ERROR:
        return None
    is_ongoing = due.call.status in ONGOING
    wait = _NEVER_ENDED if is_ongoing else duration(settings.complete_after_seconds)
    until = Instant(due.changed_at + wait)
    return until if until > now else None
