"""The rows of a push for the table of attempts. Pure."""

from collections.abc import Sequence

from crm_clients.base import Outcome
from relay.delivery.choose_action import PlannedDelivery
from relay.instants import Instant
from relay.ledger.attempts import AttemptRow


def attempt_rows(
    destination: str,
    batch: Sequence[PlannedDelivery],
    outcomes: Sequence[Outcome | None],
    *,
    at: Instant,
    seconds: float,
) -> list[AttemptRow]:
    """Return a row for each call that was tried. `seconds`: the duration of the whole push."""
    duration_ms = round(seconds * 1000)
    return [
        AttemptRow(
            destination,
            planned.due.call.id,
            at,
            planned.due.call.version,
            planned.action.name.lower(),
            outcome.name,
            outcome.code,
            outcome.message,
            duration_ms,
        )
        for planned, outcome in zip(batch, outcomes, strict=True)
        if outcome is not None
    ]
