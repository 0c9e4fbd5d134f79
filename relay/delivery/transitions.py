"""What the outcome of a push makes of the state of one delivery. Pure.

| outcome                              | state                                | attempts | next attempt    |
|--------------------------------------|--------------------------------------|----------|-----------------|
| delivered, found                     | delivered; retracted after a RETRACT | + 1      |                 |
|                                      | or an ERASE                          |          |                 |
| rejected                             | dead                                 | + 1      |                 |
| retry, split, unknown, outdated      | pending; dead if it is given up      | + 1      | `retry_policy`  |
| throttled, if only some calls are    | pending                              | same     | `retry_policy`  |
| any other failure of the destination | unchanged                            | same     | after the pause |
| none: FILTER, SKIP                   | filtered, retracted                  | same     |                 |

The ledger writes the other two actions that send nothing itself, in `deliveries.hold` and `deliveries.keep`:
HOLD leaves a delivery pending until later, and KEEP makes it delivered in the version that the CRM has.
"""

from typing import Any

import msgspec

from crm_clients.base import Delivered, Outcome, Rejected, Retry, Throttled, Unknown
from relay.delivery.choose_action import REMOVALS, Action, Found, PlannedDelivery
from relay.delivery.pauses import concerns_destination
from relay.delivery.retry_policy import RetryPolicy, failing_time
from relay.instants import Instant
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.states import DeliveryState


def after_push(
    planned: PlannedDelivery,
    outcome: Outcome,
    policy: RetryPolicy,
    *,
    now: Instant,
    delivered_at: Instant | None,
    jitter: float,
    rendering: str = "",
) -> DeliveryUpdate | None:
    """Return the update after a push; None leaves the delivery unchanged.

    `delivered_at`: see `DestinationRow`. `jitter`: from 0 to 1. `rendering`: that of the destination's
    settings.
    """
    due = planned.due
    if concerns_destination(outcome):
        return None
    if isinstance(outcome, Throttled):
        delay = policy.throttled_delay(outcome.after or None, jitter=jitter)
        asked = policy.throttled_delay(outcome.after or None, jitter=0)
        due_at, not_before = Instant(now + delay), Instant(now + asked)
        return _attempted(due, outcome, now=now, due_at=due_at, not_before=not_before)
    if isinstance(outcome, Delivered | Found):
        return _after_success(planned, outcome, rendering, now=now)
    longest = policy.longest_delay
    failing_for = failing_time(due, now=now, delivered_at=delivered_at, longest=longest)
    attempts = due.attempts + 1
    if isinstance(outcome, Rejected) or failing_for >= policy.give_up_after:
        return _attempted(
            due, outcome, now=now, state=DeliveryState.DEAD, attempts=attempts, failing_for=failing_for
        )
    after = outcome.after if isinstance(outcome, Retry) else None
    return _attempted(
        due,
        outcome,
        now=now,
        due_at=Instant(now + policy.delay(attempts, after=after, jitter=jitter)),
        not_before=_asked_until(outcome, policy, now=now),
        attempts=attempts,
        failing_for=failing_for,
    )


def _asked_until(outcome: Outcome, policy: RetryPolicy, *, now: Instant) -> Instant | None:
    """Return until when the CRM asked to wait with this call."""
    after = outcome.after if isinstance(outcome, Retry) else None
    return Instant(now + policy.asked_delay(after)) if after else None


def _after_success(
    planned: PlannedDelivery, outcome: Outcome, rendering: str, *, now: Instant
) -> DeliveryUpdate:
    """After a retraction no version is delivered: if the call is wanted again, every field is sent."""
    due, retracted = planned.due, planned.action in REMOVALS
    remote_id = outcome.remote_id if isinstance(outcome, Delivered) else None
    return _attempted(
        due,
        outcome,
        now=now,
        state=DeliveryState.RETRACTED if retracted else DeliveryState.DELIVERED,
        attempts=due.attempts + 1,
        failing_for=0,
        delivered_version=0 if retracted else _version_in_crm(planned, outcome),
        remote_id=remote_id or due.remote_id,
        partial=not retracted and _stays_partial(planned, outcome),
        rendering=rendering if is_whole(planned, outcome) else due.rendering,
    )


def _version_in_crm(planned: PlannedDelivery, outcome: Outcome) -> int:
    """A record that is never updated may be older than the call."""
    is_older = planned.action is Action.RESTORE and isinstance(outcome, Found)
    return planned.due.delivered_version if is_older else planned.due.call.version


def _stays_partial(planned: PlannedDelivery, outcome: Outcome) -> bool:
    """Whether the CRM may have more than the ledger: the first delivery shows it by finding a record."""
    if planned.due.delivered_version:
        return planned.partial
    return isinstance(outcome, Delivered) and outcome.existed


def is_whole(planned: PlannedDelivery, outcome: Outcome) -> bool:
    """Whether the CRM has got the whole record, as the settings are now."""
    return isinstance(outcome, Delivered) and (
        planned.due.rewrite or not planned.due.delivered_version or planned.action is Action.VERIFY
    )


def after_failed_probe(
    due: DueDelivery, outcome: Outcome, policy: RetryPolicy, *, now: Instant
) -> DeliveryUpdate:
    """Return the update after a probe that met the cause of the pause again. No attempt is counted; its time
    is written, so that the next probe is another delivery.
    """
    # Without an answer the CRM may have the call: should it not be wanted any more, it must be retracted.
    name = outcome.name if isinstance(outcome, Unknown) else due.outcome
    until = _asked_until(outcome, policy, now=now)
    attempted = _attempted(due, outcome, now=now, due_at=until or now, not_before=until)
    return msgspec.structs.replace(attempted, outcome=name)


def without_request(planned: PlannedDelivery, *, now: Instant) -> DeliveryUpdate:
    """Return the update of a delivery whose action is FILTER or SKIP."""
    filtered = planned.action is Action.FILTER
    state = DeliveryState.FILTERED if filtered else DeliveryState.RETRACTED
    return msgspec.structs.replace(_unchanged(planned.due, now=now), state=state, outcome=None)


def _attempted(due: DueDelivery, outcome: Outcome, *, now: Instant, **changes: Any) -> DeliveryUpdate:
    """The delivery, pending and with the result of its latest attempt, but for these changes."""
    result = {"attempted_at": now, "outcome": outcome.name, "code": outcome.code, "message": outcome.message}
    return msgspec.structs.replace(_unchanged(due, now=now), **(result | changes))


def _unchanged(due: DueDelivery, *, now: Instant) -> DeliveryUpdate:
    """The delivery as it was taken from the ledger: pending and due."""
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
        rewrite=due.rewrite,
        rendering=due.rendering,
        partial=due.partial,
    )
