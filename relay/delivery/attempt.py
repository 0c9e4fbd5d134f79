"""One attempt: a batch of deliveries, the requests of the client and one outcome for each delivery."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import CrmClient, Outcome, Outdated, Push, Retraction, Retry, Unknown
from relay.delivery.bisect import UNANSWERED, push_bisecting
from relay.delivery.choose_action import Action, Found, PlannedDelivery, undelivered_fields, whole_fields
from relay.ledger.deliveries import DueDelivery
from relay.logs import get_logger

log = get_logger("relay.delivery")

_READING_FIRST: Final = frozenset({Action.VERIFY, Action.RESTORE})

_MAX_CODE_LENGTH: Final = 200
"""The ledger has an index by the code, and PostgreSQL refuses rows above 2 704 bytes in an index: the outcome
could not be stored, and the same batch would be pushed for ever.
"""

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
                await self._remove(Action.ERASE, self._client.forget)
                await self._remove(Action.RETRACT, self._client.retract)
                await self._upsert(await self._verify())
        except TimeoutError:
            pass
        except Exception as error:
            # An exception is a defect of the client. The state of the CRM is unknown: the attempt failed.
            log.exception("delivery.failed", destination=self._client.name)
            without_answer = Retry(code="client_fault", message=repr(error))
        outcomes = map(self._outcome, self._batch)
        answers = (without_answer if outcome is UNANSWERED else outcome for outcome in outcomes)
        return [_with_short_code(outcome) for outcome in answers]

    async def _remove(
        self, action: Action, remove: Callable[[Sequence[Retraction]], Awaitable[list[Outcome]]]
    ) -> None:
        batch = self._with_action(action)
        if batch:
            self._set_outcomes(batch, [UNANSWERED] * len(batch))
            outcomes = await remove([Retraction(due.call, due.remote_id) for due in batch])
            self._set_outcomes(batch, outcomes)

    async def _verify(self) -> list[Push]:
        """Return a push of the whole record for each call that the CRM lacks or has in another version."""
        planned = [each for each in self._batch if each.action in _READING_FIRST]
        batch = [each.due for each in planned]
        if not batch:
            return []
        self._set_outcomes(batch, [UNANSWERED] * len(batch))
        # Without changed fields the client looks for the records and compares nothing.
        pushes = [msgspec.structs.replace(_push(each), changed=frozenset()) for each in planned]
        records = await self._client.read(pushes)
        if isinstance(records, Outcome):
            self._set_outcomes(batch, [records] * len(batch))
            return []
        # A client that cannot read assumes that a delivered record exists.
        versions = (
            dict.fromkeys(due.call.id for due in batch)
            if records is None
            else {id_: own.version for id_, (own, *_) in records.items()}
        )
        current = [each.due for each in planned if _is_current(each, versions)]
        self._set_outcomes(current, [Found()] * len(current))
        outdated = [each for each in planned if each.due not in current]
        return [_whole_push(each, exists=each.due.call.id in versions) for each in outdated]

    async def _upsert(self, lost: list[Push]) -> None:
        await self._push_all([*lost, *(_push(each) for each in self._batch if each.action is Action.UPSERT)])
        outdated = [each for each in self._batch if isinstance(self._outcome(each), Outdated)]
        await self._push_all([_whole_push(each, exists=True) for each in outdated])

    async def _push_all(self, pushes: list[Push]) -> None:
        if pushes:
            await push_bisecting(self._client.upsert, pushes, self._outcomes)

    def _outcome(self, planned: PlannedDelivery) -> Outcome | None:
        return self._outcomes.get(planned.due.call.id)

    def _with_action(self, action: Action) -> list[DueDelivery]:
        return [planned.due for planned in self._batch if planned.action is action]

    def _set_outcomes(self, batch: Sequence[DueDelivery], outcomes: Sequence[Outcome]) -> None:
        self._outcomes |= {due.call.id: outcome for due, outcome in zip(batch, outcomes, strict=True)}


def _with_short_code(outcome: Outcome | None) -> Outcome | None:
    if outcome is None or outcome.code is None or len(outcome.code) <= _MAX_CODE_LENGTH:
        return outcome
    return msgspec.structs.replace(outcome, code=outcome.code[:_MAX_CODE_LENGTH])


def _is_current(planned: PlannedDelivery, versions: Mapping[str, int | None]) -> bool:
    """Whether the record in the CRM stays as it is. `versions`: of the records, None if it has none."""
    call = planned.due.call
    if planned.action is Action.RESTORE:
        return call.id in versions
    return versions.get(call.id, 0) in {None, call.version}


def _whole_push(planned: PlannedDelivery, *, exists: bool) -> Push:
    due, partial = planned.due, planned.partial and exists
    fields = whole_fields(due, partial=partial)
    remote_id = due.remote_id if exists else None
    return Push(due.call, fields, first=not exists, remote_id=remote_id, partial=partial, rewrite=exists)


def _push(planned: PlannedDelivery) -> Push:
    due = planned.due
    return Push(
        due.call,
        undelivered_fields(due, partial=planned.partial),
        first=not due.delivered_version,
        remote_id=due.remote_id,
        partial=planned.partial,
        rewrite=due.rewrite,
        delivered_version=0 if due.rewrite else due.delivered_version,
    )
