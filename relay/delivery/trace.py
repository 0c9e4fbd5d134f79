"""The spans of a push."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crm_clients.base import Delivered, Outcome
from relay.delivery.choose_action import Found
from relay.instants import Instant, duration
from relay.ledger.deliveries import DueDelivery

if TYPE_CHECKING:
    from relay.tracing.tracer import CallTracer


def trace_push(
    tracer: "CallTracer",
    destination: str,
    pushed: Sequence[DueDelivery],
    outcomes: Sequence[Outcome | None],
    *,
    seconds: float,
    ended_at: Instant,
) -> None:
    """Write a span for each call of the batch that was tried."""
    for due, outcome in zip(pushed, outcomes, strict=True):
        if outcome is None:
            continue
        attributes: dict[str, str | int] = {
            "destination": destination,
            "outcome": outcome.name,
            "call.version": due.call.version,
            "attempt": due.attempts + 1,
            "batch.calls": len(pushed),
        }
        if outcome.code:
            attributes["code"] = outcome.code
        tracer.trace_push(
            due.call.id,
            attributes,
            failed=not isinstance(outcome, Delivered | Found),
            started_at=Instant(ended_at - duration(seconds)),
            ended_at=ended_at,
        )
