"""What a push makes of its marks and of its destination. Pure but for the breaker, which counts."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Throttled
from relay.delivery.breaker import Breaker
from relay.delivery.purpose import Action
from relay.delivery.transitions import PROBE_SECONDS, RetryPolicy, is_cause, settle, settle_probe, wait_after
from relay.ledger.deliveries import ANY_ATTEMPTS, DeliveryUpdate, DueDelivery
from relay.ledger.destinations import DestinationRow, Pause

_IN_A_MOMENT: Final = 2
"""So often a call may be tried before the breaker opens: one that was tried oftener fails by itself."""

Marks = Mapping[str, tuple[DueDelivery, Action]]
"""The marks of a push by call, and why each was taken."""


class Transition(msgspec.Struct, frozen=True):
    """What is to be written. `ended`: the destination waits no more. `recovered`: the CRM is back, and what
    was tried so often at most need not wait for its next attempt. `refused`: a rejection, where nothing was
    taken beside it.
    """

    settlements: Sequence[DeliveryUpdate] = ()
    wait: Pause | None = None
    ended: bool = False
    recovered: int = 0
    refused: Rejected | None = None


class Judge:
    """Judges the pushes of one destination, in the order of their ends."""

    def __init__(self, schedule: RetryPolicy) -> None:
        self._schedule = schedule
        self._breaker = Breaker()

    def forget(self) -> None:
        """Begin anew, as the destination's new courier."""
        self._breaker.close()

    def judge(
        self,
        marks: Marks,
        outcomes: Sequence[Outcome | None],
        *,
        stand: DestinationRow,
        probes: bool,
        now: int,
        jitter: float,
    ) -> Transition:
        """The verdict on a push. `stand`: how the destination stood; `probes`: whether this was to try it."""
        wait = wait_after(outcomes, self._schedule)
        if probes and (cause := _cause(outcomes, stand)):
            tried = [settle_probe(mark, cause, now=now) for mark, _ in marks.values()]
            return Transition(tried, wait or self._wait_again(cause))
        failed_before = self._breaker.failures
        wait = wait or self._breaker.note([mark for mark, _ in marks.values()], outcomes)
        settlements = [
            settlement
            for (mark, purpose), outcome in zip(marks.values(), outcomes, strict=True)
            if outcome is not None
            and (
                settlement := settle(
                    mark,
                    outcome,
                    self._schedule,
                    now=now,
                    delivered_at=stand.delivered_at,
                    jitter=jitter,
                    gone=purpose is Action.RETRACT,
                )
            )
        ]
        return Transition(
            settlements,
            wait,
            ended=probes and wait is None,
            recovered=self._recovered(failed_before, stand.paused_reason if probes else None),
            refused=_refused(outcomes),
        )

    def _recovered(self, failed_before: int, waited_for: str | None) -> int:
        """A CRM that was only too busy was never away; after a mere moment, only what that made fail."""
        if waited_for is not None:
            return 0 if waited_for == Throttled.name else ANY_ATTEMPTS
        return _IN_A_MOMENT if failed_before and not self._breaker.failures else 0

    def _wait_again(self, cause: Outcome) -> Pause:
        """A wait for a reason that the outcome alone does not give."""
        if isinstance(cause, Rejected):
            return Pause(Misconfigured.name, PROBE_SECONDS, cause.code, cause.message)
        return self._breaker.open(cause)


def wait_for_run(refused: Rejected, run: int) -> Pause:
    """The wait after so many rejections in a row."""
    message = f"{run} calls in a row were refused for one reason: {refused.message}"
    return Pause(Misconfigured.name, PROBE_SECONDS, refused.code, message)


def _cause(outcomes: Sequence[Outcome | None], stand: DestinationRow) -> Outcome | None:
    """What a probe met, where it is what its destination waits for."""
    reason = stand.paused_reason
    if reason is None:
        return None
    told = (outcome for outcome in outcomes if outcome is not None)
    return next((o for o in told if is_cause(o, reason, stand.paused_code)), None)


def _refused(outcomes: Sequence[Outcome | None]) -> Rejected | None:
    if any(isinstance(outcome, Delivered) for outcome in outcomes):
        return None
    return next((outcome for outcome in outcomes if isinstance(outcome, Rejected) and outcome.code), None)
