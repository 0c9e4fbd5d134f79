"""One attempt: a batch of marks, the client's requests about them, and what became of each."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm_clients.base import CrmClient, Outcome, Push, Retraction, Retry, Unknown
from relay.call import DELIVERED_FIELDS
from relay.delivery.bisect import UNANSWERED, push_bisecting
from relay.delivery.purpose import Action, Found, changed_in
from relay.ledger.deliveries import DueDelivery
from relay.logs import get_logger

log = get_logger("relay.delivery")

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
_LATE: Final = Unknown(code="timeout", message="no answer within timeout_seconds")


class Attempt:
    """What is asked of a client about some marks, within a bound of time."""

    def __init__(self, client: CrmClient[Any], marks: Mapping[str, tuple[DueDelivery, Action]]) -> None:
        self._client = client
        self._marks = marks
        self._outcomes: dict[str, Outcome] = {}

    async def make(self, seconds: float) -> list[Outcome | None]:
        """One outcome per mark, in their order; None where nothing was tried."""
        missing: Outcome = _LATE
        try:
            async with asyncio.timeout(seconds):
                await self._take_back()
                await self._bring(await self._lost())
        except TimeoutError:
            pass
        except Exception as error:
            # A fault of the client's: nothing is known of the CRM, so it counts as a failed attempt.
            log.exception("delivery.failed", destination=self._client.name)
            missing = Retry(code="client_fault", message=repr(error))
        found = (self._outcomes.get(call) for call in self._marks)
        return [missing if outcome is UNANSWERED else outcome for outcome in found]

    async def _take_back(self) -> None:
        gone = self._of(Action.RETRACT)
        if gone:
            self._ask(gone)
            answers = await self._client.retract([Retraction(mark.call, mark.remote_id) for mark in gone])
            self._keep(gone, answers)

    async def _lost(self) -> list[Push]:
        """Those that the CRM had and has no more: they come whole, as if for the first time."""
        marks = self._of(Action.VERIFY)
        if not marks:
            return []
        self._ask(marks)
        missing = await self._client.missing([_push_of(mark) for mark in marks])
        if isinstance(missing, Outcome):
            self._keep(marks, [missing] * len(marks))
            return []
        there = [mark for mark in marks if mark.call.id not in missing]
        self._keep(there, [Found()] * len(there))
        return [Push(mark.call, _ALL_FIELDS) for mark in marks if mark.call.id in missing]

    async def _bring(self, lost: list[Push]) -> None:
        pushes = [*lost, *(_push_of(mark) for mark in self._of(Action.UPSERT))]
        if pushes:
            await push_bisecting(self._client.upsert, pushes, self._outcomes)

    def _of(self, purpose: Action) -> list[DueDelivery]:
        return [mark for mark, its_purpose in self._marks.values() if its_purpose is purpose]

    def _ask(self, marks: Sequence[DueDelivery]) -> None:
        self._keep(marks, [UNANSWERED] * len(marks))

    def _keep(self, marks: Sequence[DueDelivery], answers: Sequence[Outcome]) -> None:
        self._outcomes |= {mark.call.id: answer for mark, answer in zip(marks, answers, strict=True)}


def _push_of(mark: DueDelivery) -> Push:
    if not mark.delivered_version:
        return Push(mark.call, _ALL_FIELDS, first=True, remote_id=mark.remote_id)
    return Push(mark.call, changed_in(mark), first=False, remote_id=mark.remote_id)
