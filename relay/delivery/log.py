"""The log lines and measurements of a delivery worker: pushes, dead letters, and the destination's pauses."""

import logging
from collections.abc import Sequence
from typing import Final

from crm_clients.base import Delivered, Outcome
from relay.delivery.choose_action import Found
from relay.ledger import LedgerUnavailable
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.destinations import Pause
from relay.ledger.states import DeliveryState
from relay.logs import get_logger, mask_text
from relay.measurements import DEAD_LETTERS, PAUSES, PUSH_SECONDS, PUSHES

log = get_logger("relay.delivery")

_SUCCESSES: Final = (Delivered.name, Found.name)


def log_push(
    destination: str, pushed: Sequence[DueDelivery], outcomes: Sequence[Outcome | None], seconds: float
) -> None:
    """Log one line for each outcome and code. A delivery with a code lacks something: it is a warning."""
    PUSH_SECONDS.observe(seconds, (destination,))
    by_kind: dict[tuple[str, str | None], list[tuple[DueDelivery, Outcome]]] = {}
    for due, outcome in zip(pushed, outcomes, strict=True):
        if outcome is not None:
            by_kind.setdefault((outcome.name, outcome.code), []).append((due, outcome))
    for (name, code), results in by_kind.items():
        due, outcome = results[0]
        PUSHES.add((destination, name), len(results))
        log.log(
            logging.INFO if name in _SUCCESSES and code is None else logging.WARNING,
            "push",
            destination=destination,
            calls=len(results),
            attempt=max(each.attempts for each, _ in results) + 1,
            outcome=name,
            duration_ms=round(seconds * 1000, 1),
            **({"call": due.call.id} if len(results) == 1 else {}),
            **({"code": outcome.code, "message": _masked([due], outcome.message)} if outcome.code else {}),
        )


def log_dead(destination: str, pushed: Sequence[DueDelivery], updates: Sequence[DeliveryUpdate]) -> None:
    """Log each delivery that is a dead letter now."""
    by_call = {due.call.id: due for due in pushed}
    for update in updates:
        if update.state == DeliveryState.DEAD:
            DEAD_LETTERS.add((destination,))
            log.error(
                "delivery.dead",
                destination=destination,
                call=update.call,
                code=update.code,
                message=_masked([by_call[update.call]], update.message),
            )


def log_pause(destination: str, pushed: Sequence[DueDelivery], pause: Pause | None, *, resumed: bool) -> None:
    """Log that the destination pauses or resumes, if it does."""
    if pause is not None:
        PAUSES.add((destination, pause.reason))
        log.error(
            "destination.paused",
            destination=destination,
            reason=pause.reason,
            code=pause.code,
            message=_masked(pushed, pause.message),
            seconds=pause.seconds,
        )
    elif resumed:
        log.info("destination.resumed", destination=destination)


def _masked(pushed: Sequence[DueDelivery], message: str | None) -> str | None:
    """The CRM's message, which may quote the names that were sent."""
    calls = [due.call for due in pushed]
    personal = {value for c in calls for value in (c.contact_name, c.agent_name, c.agent_email) if value}
    return message and mask_text(message, sorted(personal))


def log_failure(destination: str, error: Exception) -> None:
    """Log why the worker of a destination was interrupted: the ledger was unavailable, or there is a bug."""
    if isinstance(error, LedgerUnavailable):
        log.warning("delivery.failed", destination=destination, error=str(error))
    else:
        log.error("delivery.failed", destination=destination, exc_info=error)
