"""What a courier logs: one line for each outcome of a push, one for each call that needs a person."""

import logging
from collections.abc import Sequence
from typing import Final

from crm_clients.base import Delivered, Outcome
from relay.delivery.purpose import Found
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.destinations import Pause
from relay.logs import get_logger, mask_text

log = get_logger("relay.delivery")

_GOOD: Final = (Delivered.name, Found.name)


def log_push(
    destination: str, due: Sequence[DueDelivery], outcomes: Sequence[Outcome | None], seconds: float
) -> None:
    """Tell what a push came to."""
    told = [(mark, o) for mark, o in zip(due, outcomes, strict=True) if o is not None]
    for word in dict.fromkeys(outcome.name for _, outcome in told):
        theirs = [(mark, outcome) for mark, outcome in told if outcome.name == word]
        mark, outcome = theirs[0]
        log.log(
            logging.INFO if word in _GOOD else logging.WARNING,
            "push",
            destination=destination,
            calls=len(theirs),
            attempt=max(m.attempts for m, _ in theirs) + 1,
            outcome=word,
            duration_ms=round(seconds * 1000, 1),
            **({"call": mark.call.id} if len(theirs) == 1 else {}),
            **({"code": outcome.code, "message": _masked([mark], outcome.message)} if outcome.code else {}),
        )


def log_dead(destination: str, letters: Sequence[tuple[DueDelivery, DeliveryUpdate]]) -> None:
    """Tell which calls a person must look at."""
    for mark, letter in letters:
        log.error(
            "delivery.dead",
            destination=destination,
            call=letter.call,
            code=letter.code,
            message=_masked([mark], letter.message),
        )


def log_pause(destination: str, wait: Pause | None, due: Sequence[DueDelivery], *, ended: bool) -> None:
    """Tell that the destination waits, or waits no more."""
    if wait is not None:
        log.error(
            "destination.paused",
            destination=destination,
            reason=wait.reason,
            code=wait.code,
            message=_masked(due, wait.message),
            seconds=wait.seconds,
        )
    elif ended:
        log.info("destination.resumed", destination=destination)


def _masked(due: Sequence[DueDelivery], message: str | None) -> str | None:
    """The CRM's words; it may quote what we sent."""
    calls = [mark.call for mark in due]
    personal = {value for c in calls for value in (c.contact_name, c.agent_name, c.agent_email) if value}
    return message and mask_text(message, sorted(personal))
