"""Writes how a question ended, or when it is asked again. Each transaction checks the lease."""

from functools import partial
from typing import Final

from relay.call import CallEvent
from relay.cloudtalk.enrichment import CONTENT_TYPE, EnrichmentBody
from relay.history.enrichment.lookup import AskedCall
from relay.history.enrichment.schedule import CALL_BACK_AFTER, after_outage, next_attempt
from relay.instants import Instant, iso
from relay.ledger import Ledger, enrichments, journal
from relay.ledger.connection import Connection
from relay.ledger.enrichments import DueQuestion, NewQuestion, Question
from relay.ledger.journal import NewEvent
from relay.ledger.lease_holder import Lease
from relay.ledger.states import EnrichmentState
from relay.logs import get_logger
from relay.measurements import ENRICHMENTS, EVENTS

log: Final = get_logger("relay.history")


class Results:
    """Each method raises `LedgerError`, and `LeaseLost` if another process asks now."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self._lease = lease

    async def write_answer(
        self, due: DueQuestion, asked: AskedCall, body: EnrichmentBody, event: CallEvent
    ) -> None:
        """Append the answer to the journal, unless the call was forgotten meanwhile."""
        now = self._ledger.now()

        def write(connection: Connection) -> bool:
            self._lease.check(connection)
            if not enrichments.settle(connection, due, EnrichmentState.SETTLED):
                return False
            journal.append(connection, [NewEvent(now, CONTENT_TYPE, body.path, "", body.raw, event)])
            if due.question is Question.ANALYTICS and asked.row.record.follow_up:
                later = NewQuestion(due.call, Question.CALL_BACK, Instant(now + CALL_BACK_AFTER))
                enrichments.enqueue(connection, [later], now=now)
            return True

        if await self._ledger.write(write):
            ENRICHMENTS.add((due.question, "found"))
            EVENTS.add((event.dialect, event.kind))
            log.info("enrich.found", call=due.call, call_id=asked.call_id, question=due.question)

    async def end(self, due: DueQuestion) -> None:
        """Nobody needs the answer any more."""
        await self._end(due, EnrichmentState.SETTLED, None)

    async def give_up(self, due: DueQuestion, reason: str) -> None:
        """There is no answer that can be used."""
        ENRICHMENTS.add((due.question, "given_up"))
        log.info("enrich.given_up", call=due.call, question=due.question, reason=reason)
        await self._end(due, EnrichmentState.GIVEN_UP, reason)

    async def retry(self, due: DueQuestion, reason: str) -> None:
        """Ask again later, or give up."""
        until = next_attempt(due, self._ledger.now())
        if until is None:
            await self.give_up(due, reason)
            return
        ENRICHMENTS.add((due.question, "not_yet"))
        log.debug("enrich.not_yet", call=due.call, question=due.question, reason=reason, until=iso(until))
        await self._postpone(due, until, due.attempts + 1)

    async def look_later(self, due: DueQuestion) -> None:
        """No other record could be the same call so far, so a request would answer nothing."""
        until = next_attempt(due, self._ledger.now())
        if until is None:
            await self.end(due)
        else:
            await self._postpone(due, until, due.attempts + 1)

    async def wait_for_api(self, due: DueQuestion, reason: str) -> None:
        """Ask again later: the API failed, whatever the call is, so this is no attempt."""
        until = after_outage(due, self._ledger.now())
        if until is None:
            await self.give_up(due, reason)
        else:
            await self._postpone(due, until, due.attempts)

    async def _end(self, due: DueQuestion, state: EnrichmentState, reason: str | None) -> None:
        def write(connection: Connection) -> None:
            self._lease.check(connection)
            enrichments.settle(connection, due, state, reason)

        await self._ledger.write(write)

    async def _postpone(self, due: DueQuestion, until: Instant, attempts: int) -> None:
        postpone = partial(enrichments.postpone, due=due, until=until, attempts=attempts)

        def write(connection: Connection) -> None:
            self._lease.check(connection)
            postpone(connection)

        await self._ledger.write(write)
