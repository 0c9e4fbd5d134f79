"""When a destination pauses, for how long, and when it resumes. Every reason is decided here.

| reason          | cause                                         | length      | repeated by a probe that   |
|-----------------|-----------------------------------------------|-------------|----------------------------|
| `throttled`     | a rate limit of all calls is exceeded         | Retry-After | is throttled               |
| `unauthorised`  | the CRM refuses the credentials               | 60 s        | is unauthorised            |
| `misconfigured` | a table, column, property or grant is missing | 60 s        | is misconfigured           |
| `misconfigured` | 20 calls in a row are rejected with one code  | 60 s        | is rejected with that code |
| `failing`       | the circuit breaker opens: `CircuitBreaker`   | 5 s to 60 s | fails, but is not rejected |
| `paused`        | a person: `relay destinations pause`          | no end      | (there is no probe)        |

During a pause no call is pushed to the destination, and no delivery's attempts are counted. At the end one
delivery is pushed as a probe. If the probe meets the cause of the pause again, the pause is repeated; any
other outcome resumes the destination.

A start of the relay, new credentials and `relay destinations probe` make the probe due at once;
`relay destinations resume` ends any pause without one (`relay.ledger.destinations`). A rate limit that only
some calls need pauses no destination: those calls wait alone (`relay.delivery.transitions`).
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
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
from relay.delivery.choose_action import Found
from relay.delivery.retry_policy import RetryPolicy
from relay.instants import Instant, duration
from relay.ledger.deliveries import ANY_ATTEMPTS, DueDelivery
from relay.ledger.destinations import DestinationRow, Pause

PROBE_SECONDS: Final = 60.0
"""The length of a pause that only a person can help: the destination is probed once a minute."""

RUN_OF_REJECTIONS: Final = 20
"""So many rejections in a row with one code, and no delivery between, are a fault of the configuration."""

_BRIEF_ATTEMPTS: Final = 2
"""A brief failure, in which the breaker did not open, costs a delivery at most so many attempts. A delivery
with more of them fails by itself.
"""


class PauseReason(StrEnum):
    """Why a destination pauses, apart from `destinations.BY_OPERATOR`. Shown as `paused_reason`."""

    THROTTLED = Throttled.name
    UNAUTHORISED = Unauthorised.name
    MISCONFIGURED = Misconfigured.name
    FAILING = "failing"


BRIEF_PAUSES: Final = frozenset({PauseReason.FAILING, PauseReason.THROTTLED})
"""Most pauses for these reasons end by themselves."""


class PauseChange(msgspec.Struct, frozen=True):
    """What a push changes about the pause of its destination."""

    pause: Pause | None = None
    """The destination pauses, or pauses again."""
    resumes: bool = False
    """The destination paused, and a probe ended the pause."""
    probe_failure: Outcome | None = None
    """The outcome of a probe that met the cause of the pause again."""
    rejected: Rejected | None = None
    """A rejection with a code, in a push that delivered nothing. Whether it completes a run of rejections is
    counted in the ledger, and so survives a restart and a change of the worker.
    """
    retry_up_to_attempts: int = 0
    """The CRM works again: the backoff of deliveries with at most so many attempts ends."""


class Pauses:
    """Decides when one destination pauses and resumes. Pushes are given in the order in which they end."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._breaker = CircuitBreaker()
        self._longest = max(policy.longest_delay, duration(PROBE_SECONDS))

    def reset(self) -> None:
        """Forget the failures: another worker may have served the destination since."""
        self._breaker.close()

    def may_probe(self, destination: DestinationRow, now: Instant) -> bool:
        """Whether the pause is over. A pause that seems longer than the longest one is over as well: it
        began before the clock was set back.
        """
        until = destination.paused_until
        return until is not None and not now < until <= now + self._longest

    def pause_after_push(
        self, pushed: Sequence[DueDelivery], outcomes: Sequence[Outcome | None]
    ) -> PauseChange:
        """Decide after a push to a destination that did not pause when it began.

        One outcome per delivery, in their order; None for a delivery that was not tried.
        """
        failed_before = self._breaker.failures > 0
        pause = self._pause_for_failure(outcomes) or self._breaker.record(pushed, outcomes)
        recovered = failed_before and not self._breaker.failures
        return PauseChange(
            pause, rejected=_rejection(outcomes), retry_up_to_attempts=_BRIEF_ATTEMPTS if recovered else 0
        )

    def resume_after_probe(
        self, pushed: Sequence[DueDelivery], outcomes: Sequence[Outcome | None], destination: DestinationRow
    ) -> PauseChange:
        """Decide after a probe of a destination that paused for the reason in this row."""
        reason, code = destination.paused_reason, destination.paused_code
        pause = self._pause_for_failure(outcomes)
        cause = next((o for o in outcomes if o is not None and repeats_pause(o, reason, code)), None)
        if cause is not None:
            return PauseChange(pause or self._pause_again(cause), probe_failure=cause)
        pause = pause or self._breaker.record(pushed, outcomes)
        return PauseChange(
            pause,
            resumes=pause is None,
            rejected=_rejection(outcomes),
            # A throttled CRM works: what fails there fails by itself.
            retry_up_to_attempts=0 if reason == PauseReason.THROTTLED else ANY_ATTEMPTS,
        )

    def after_rejections(self, rejected: Rejected, count: int) -> Pause:
        """Return the pause after a run of so many rejections."""
        message = f"{count} calls in a row were rejected with the same code: {rejected.message}"
        return Pause(PauseReason.MISCONFIGURED, PROBE_SECONDS, rejected.code, message)

    def _pause_for_failure(self, outcomes: Iterable[Outcome | None]) -> Pause | None:
        failure = next((o for o in outcomes if concerns_destination(o)), None)
        if failure is None:
            return None
        seconds = PROBE_SECONDS
        if isinstance(failure, Throttled):
            seconds = self._policy.throttled_seconds(failure.after)
        return Pause(failure.name, seconds, failure.code, failure.message)

    def _pause_again(self, cause: Outcome) -> Pause:
        if isinstance(cause, Rejected):
            return Pause(PauseReason.MISCONFIGURED, PROBE_SECONDS, cause.code, cause.message)
        return self._breaker.open(cause)


class CircuitBreaker:
    """Pauses a destination at which every push fails.

    It opens after 5 pushes in a row in which no call succeeded. A push in which each call failed before does
    not count: such a call may fail by itself. But if 20 different calls failed in such pushes, the CRM is the
    fault. The first pause is short, as most restarts of a CRM are; each further one is twice as long.
    """

    _PUSHES: Final = 5
    _CALLS: Final = 20
    _FIRST_SECONDS: Final = 5.0
    _LONGEST_SECONDS: Final = 60.0

    def __init__(self) -> None:
        self.failures = 0
        """Failed pushes in a row with a call that never failed before."""
        self._pushes = 0
        self._calls: set[str] = set()
        self._pauses = 0

    def record(self, pushed: Sequence[DueDelivery], outcomes: Sequence[Outcome | None]) -> Pause | None:
        """Count a push; return a pause if the breaker opens."""
        tried = [
            (due, outcome)
            for due, outcome in zip(pushed, outcomes, strict=True)
            if outcome is not None and not isinstance(outcome, Found)
        ]
        if any(not isinstance(outcome, Retry | Unknown | Split) for _, outcome in tried):
            self.close()
        elif tried:
            self._count([due for due, _ in tried])
        return self.open(tried[0][1]) if self._is_full() else None

    def _count(self, failed: Sequence[DueDelivery]) -> None:
        self._pushes += 1
        self.failures += any(not due.attempts for due in failed)
        self._calls |= {due.call.id for due in failed}

    def _is_full(self) -> bool:
        different_calls = self._pushes >= self._PUSHES and len(self._calls) >= self._CALLS
        return different_calls or self.failures >= self._PUSHES

    def open(self, outcome: Outcome) -> Pause:
        """Return the next pause, and count from 0: pushes under way may fail yet, and do not prolong it."""
        self._reset_counts()
        seconds = min(self._FIRST_SECONDS * 2**self._pauses, self._LONGEST_SECONDS)
        self._pauses += 1
        return Pause(PauseReason.FAILING, seconds, outcome.code, outcome.message)

    def close(self) -> None:
        """Count from 0 after a success; the next pause is a short one again."""
        self._reset_counts()
        self._pauses = 0

    def _reset_counts(self) -> None:
        self.failures = self._pushes = 0
        self._calls.clear()


def concerns_destination(outcome: Outcome | None) -> bool:
    """Whether each call of the destination would fail like this. A rate limit that only some calls need
    concerns those alone.
    """
    if isinstance(outcome, Throttled):
        return outcome.rate_limit in {None, WRITES}
    return isinstance(outcome, DestinationFailure)


def repeats_pause(outcome: Outcome, reason: str | None, code: str | None) -> bool:
    """Whether a probe with this outcome met the cause of the pause again."""
    if reason == PauseReason.FAILING:
        return isinstance(outcome, Retry | Unknown | Split)
    if isinstance(outcome, Rejected):
        return reason == PauseReason.MISCONFIGURED and outcome.code == code
    return outcome.name == reason and concerns_destination(outcome)


def _rejection(outcomes: Sequence[Outcome | None]) -> Rejected | None:
    if any(isinstance(outcome, Delivered) for outcome in outcomes):
        return None
    return next((o for o in outcomes if isinstance(o, Rejected) and o.code), None)
