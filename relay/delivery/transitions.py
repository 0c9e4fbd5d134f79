"""What an outcome makes of a mark and of its destination. Pure.

An outage kills nothing: only time in which the destination took other calls counts toward giving
one up. What concerns the whole destination spends no call's attempts.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from crm_clients.base import (
    Delivered,
    DestinationFailure,
    Misconfigured,
    Outcome,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.rate_limit import WRITES
from relay.delivery.breaker import FAILING
from relay.delivery.purpose import Action, Found
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.destinations import Pause
from relay.ledger.states import DeliveryState

_SECOND: Final = 1_000_000
_MOST_DOUBLINGS: Final = 30
PROBE_SECONDS: Final = 60.0
"""A destination that waits for a person is tried once a minute."""

_THROTTLED_SECONDS: Final = 10.0
"""The longest common window of rate limits (HubSpot: 10 s), where the CRM does not say."""

_SHORTEST_WAIT_SECONDS: Final = 1.0
"""A CRM that says "too fast, again in 0 s" must not be asked in a tight loop."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a call is tried again, in seconds, and how long in all."""

    first_retry_seconds: float
    longest_retry_seconds: float
    give_up_after_hours: float

    def delay(self, attempts: int, *, after: float | None, jitter: float) -> int:
        """Microseconds until the next attempt. The CRM's own wish counts within the longest wait.

        `jitter` (0 to 1) spreads calls that failed together; it only adds.
        """
        doublings = min(attempts - 1, _MOST_DOUBLINGS)
        seconds = max(self.first_retry_seconds * 2**doublings, after or 0)
        return int(min(seconds, self.longest_retry_seconds) * (1 + jitter / 5) * _SECOND)

    @property
    def longest_delay(self) -> int:
        """Microseconds that no wait exceeds."""
        return int(self.longest_retry_seconds * 1.2 * _SECOND)

    @property
    def give_up_after(self) -> int:
        """Microseconds."""
        return int(self.give_up_after_hours * 3600 * _SECOND)


def settle(
    due: DueDelivery,
    outcome: Outcome,
    schedule: RetryPolicy,
    *,
    now: int,
    delivered_at: int | None,
    jitter: float,
    gone: bool = False,
) -> DeliveryUpdate | None:
    """What the mark becomes; None leaves it as it was.

    A call whose rate_limit is spent waits for that, and spends no attempt.

    `delivered_at`: when this destination last took any call. `gone`: the record was to be taken back;
    should its call ever be one again, every field is owed anew.
    """
    if isinstance(outcome, Throttled) and _is_partial(outcome):
        seconds = max(outcome.after or _THROTTLED_SECONDS, _SHORTEST_WAIT_SECONDS)
        return _settlement(
            due,
            outcome,
            now=now,
            state=DeliveryState.PENDING,
            due_at=now + int(min(seconds, schedule.longest_retry_seconds) * (1 + jitter / 5) * _SECOND),
            attempts=due.attempts,
            failing_for=due.failing_for,
        )
    if isinstance(outcome, DestinationFailure):
        return None
    if isinstance(outcome, Delivered | Found):
        return _settlement(
            due,
            outcome,
            now=now,
            state=DeliveryState.RETRACTED if gone else DeliveryState.DELIVERED,
            attempts=due.attempts + 1,
            delivered_version=0 if gone else due.call.version,
            remote_id=outcome.remote_id if isinstance(outcome, Delivered) else None,
        )
    attempts, failing_for = due.attempts + 1, due.failing_for + _failing_since(due, now, delivered_at)
    dead = isinstance(outcome, Rejected) or failing_for >= schedule.give_up_after
    after = outcome.after if isinstance(outcome, Retry) else None
    return _settlement(
        due,
        outcome,
        now=now,
        state=DeliveryState.DEAD if dead else DeliveryState.PENDING,
        due_at=now if dead else now + schedule.delay(attempts, after=after, jitter=jitter),
        attempts=attempts,
        failing_for=failing_for,
    )


def _failing_since(due: DueDelivery, now: int, delivered_at: int | None) -> int:
    """The time since the last attempt, if the destination took others meanwhile."""
    if due.attempted_at is None or delivered_at is None or delivered_at <= due.attempted_at:
        return 0
    return max(now - due.attempted_at, 0)


def _settlement(
    due: DueDelivery,
    outcome: Outcome,
    *,
    now: int,
    state: DeliveryState,
    delivered_version: int | None = None,
    due_at: int | None = None,
    attempts: int = 0,
    failing_for: int = 0,
    remote_id: str | None = None,
) -> DeliveryUpdate:
    return msgspec.structs.replace(
        _untouched(due, now=now),
        state=state,
        delivered_version=due.delivered_version if delivered_version is None else delivered_version,
        due_at=now if due_at is None else due_at,
        attempts=attempts,
        attempted_at=now,
        failing_for=failing_for,
        remote_id=remote_id or due.remote_id,
        outcome=outcome.name,
        code=outcome.code,
        message=outcome.message,
    )


def settle_untried(due: DueDelivery, purpose: Action, *, now: int) -> DeliveryUpdate:
    """What a mark becomes of which the CRM is told nothing."""
    state = DeliveryState.FILTERED if purpose is Action.FILTER else DeliveryState.RETRACTED
    return msgspec.structs.replace(_untouched(due, now=now), state=state, outcome=None)


def settle_probe(due: DueDelivery, cause: Outcome, *, now: int) -> DeliveryUpdate:
    """What a mark becomes that met what its destination waits for: no attempt is spent, and another call
    is the next to try. Where there was no answer, the CRM may have it.
    """
    return msgspec.structs.replace(
        _untouched(due, now=now),
        attempted_at=now,
        outcome=cause.name if isinstance(cause, Unknown) else due.outcome,
        code=cause.code,
        message=cause.message,
    )


def _untouched(due: DueDelivery, *, now: int) -> DeliveryUpdate:
    """The mark as it was taken: owed, and due."""
    return DeliveryUpdate(
        call=due.call.id,
        version=due.call.version,
        state=DeliveryState.PENDING,
        delivered_version=due.delivered_version,
        due_at=now,
        attempts=due.attempts,
        attempted_at=due.attempted_at,
        failing_for=due.failing_for,
        remote_id=due.remote_id,
        outcome=due.outcome,
        code=None,
        message=None,
    )


def wait_after(outcomes: Iterable[Outcome | None], schedule: RetryPolicy) -> Pause | None:
    """Whether, and why, the whole destination must wait after these."""
    for outcome in outcomes:
        if isinstance(outcome, Throttled) and not _is_partial(outcome):
            asked = _THROTTLED_SECONDS if outcome.after is None else outcome.after
            seconds = min(max(asked, _SHORTEST_WAIT_SECONDS), schedule.longest_retry_seconds)
            return Pause(outcome.name, seconds, outcome.code, outcome.message)
        if isinstance(outcome, Unauthorised | Misconfigured):
            return Pause(outcome.name, PROBE_SECONDS, outcome.code, outcome.message)
    return None


def is_cause(outcome: Outcome, reason: str, code: str | None) -> bool:
    """Whether a probe met what its destination waits for; anything else ends the wait."""
    if reason == FAILING:
        return isinstance(outcome, Retry | Unknown | Split)
    if isinstance(outcome, Throttled) and _is_partial(outcome):
        return False
    refused = reason == Misconfigured.name and isinstance(outcome, Rejected) and outcome.code == code
    return refused or outcome.name == reason


def _is_partial(outcome: Throttled) -> bool:
    """Whether one rate_limit is spent that not every call needs."""
    return outcome.rate_limit not in {None, WRITES}
