"""One attempt: a batch of deliveries, the requests of the client and one outcome for each delivery."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from crm_clients.base import CrmClient, Outcome, Push, Retraction, Retry, Unknown
from relay.call import DELIVERED_FIELDS
from relay.delivery.bisect import UNANSWERED, push_bisecting
from relay.delivery.choose_action import Action, Found, PlannedDelivery, undelivered_fields
from relay.ledger.deliveries import DueDelivery
from relay.logs import get_logger

log = get_logger("relay.delivery")

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
_TIMED_OUT: Final = Unknown(code="timeout", message="no answer within timeout_seconds")


class Attempt:
    """The requests about a batch of deliveries, within a time limit."""

    def __init__(self, client: CrmClient[Any], batch: Sequence[PlannedDelivery]) -> None:
        self._client = client
        self._batch = batch
        self._outcomes: dict[str, Outcome] = {}
        """By the id of the call."""

    async def run(self, timeout_seconds: float) -> list[Outcome | None]:
        """Return one outcome per delivery, in their order; None for a delivery that was not tried."""
        without_answer: Outcome = _TIMED_OUT
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._retract()
                await self._upsert(await self._verify())
        except TimeoutError:
            pass
        except Exception as error:
            # An exception is a defect of the client. The state of the CRM is unknown: the attempt failed.
            log.exception("delivery.failed", destination=self._client.name)
            without_answer = Retry(code="client_fault", message=repr(error))
        outcomes = (self._outcomes.get(planned.due.call.id) for planned in self._batch)
        return [without_answer if outcome is UNANSWERED else outcome for outcome in outcomes]

    async def _retract(self) -> None:
        batch = self._with_action(Action.RETRACT)
        if batch:
            self._set_outcomes(batch, [UNANSWERED] * len(batch))
            outcomes = await self._client.retract([Retraction(due.call, due.remote_id) for due in batch])
            self._set_outcomes(batch, outcomes)

    async def _verify(self) -> list[Push]:
        """Return a push of every field for each record that the CRM has lost."""
        batch = self._with_action(Action.VERIFY)
        if not batch:
            return []
        self._set_outcomes(batch, [UNANSWERED] * len(batch))
        missing = await self._client.missing([_push(PlannedDelivery(due, Action.VERIFY)) for due in batch])
        if isinstance(missing, Outcome):
            self._set_outcomes(batch, [missing] * len(batch))
            return []
        existing = [due for due in batch if due.call.id not in missing]
        self._set_outcomes(existing, [Found()] * len(existing))
        return [Push(due.call, _ALL_FIELDS) for due in batch if due.call.id in missing]

    async def _upsert(self, lost: list[Push]) -> None:
        pushes = [*lost, *(_push(each) for each in self._batch if each.action is Action.UPSERT)]
        if pushes:
            await push_bisecting(self._client.upsert, pushes, self._outcomes)

    def _with_action(self, action: Action) -> list[DueDelivery]:
        return [planned.due for planned in self._batch if planned.action is action]

    def _set_outcomes(self, batch: Sequence[DueDelivery], outcomes: Sequence[Outcome]) -> None:
        self._outcomes |= {due.call.id: outcome for due, outcome in zip(batch, outcomes, strict=True)}


def _push(planned: PlannedDelivery) -> Push:
    due = planned.due
    return Push(
        due.call,
        undelivered_fields(due, partial=planned.partial),
        first=not due.delivered_version,
        remote_id=due.remote_id,
        partial=planned.partial,
    )
