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

_FOLD_WAIT: Final = Duration(5 * SECOND)
"""How long a call waits for the fold, before it is looked at again."""


def incomplete_until(
    due: DueDelivery, settings: DestinationSettings, *, now: Instant, unfolded_since: Instant | None
) -> Instant | None:
    """Return when to look at the call again, which is not complete; None if it is, or need not be.

    A call is complete once it is over, has not changed for `complete_after_seconds`, and the events that
    arrived in that time are folded. `unfolded_since`: when the oldest event arrived that is not folded; None
    if all are. It was read before the delivery: an event that is folded in between is in a later version.
    """
    if settings.update == "always":
        return None
    is_ongoing = due.call.status in ONGOING
    wait = _NEVER_ENDED if is_ongoing else duration(settings.complete_after_seconds)
    if due.changed_at > now + _CLOCK_ERROR and not is_ongoing:
        return None if due.has_waited or not wait else Instant(now + wait)
    until = Instant(due.changed_at + wait)
    if until > now:
        return until
    is_fold_behind = unfolded_since is not None and unfolded_since <= until
    return Instant(now + _FOLD_WAIT) if is_fold_behind else None
