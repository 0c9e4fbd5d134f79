"""Asks CloudTalk what calls lack, one question at a time.

The fold enqueues the questions (`relay.fold.enrichment`), and a question stays in the ledger until its answer
is in the journal: both change in one transaction. Of all processes only the holder of the lease `enrichment`
asks. It uses three quarters of the shared limit at most, so that searches of the history go first.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from relay.call import CallEvent
from relay.cloudtalk.analytics import has_steps
from relay.cloudtalk.enrichment import ResponseKind, build_body
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.fold.enrichment import is_wanted
from relay.fold.options import questions_of
from relay.history.enrichment.lookup import AskedCall, look_up
from relay.history.enrichment.pauses import Pauses
from relay.history.enrichment.results import Results
from relay.history.enrichment.schedule import API_OF, Api, is_last
from relay.history.errors import ApiFailure
from relay.ingest.parsers import build_parser
from relay.ledger import Ledger, LedgerUnavailable, enrichments, warnings
from relay.ledger.connection import Connection
from relay.ledger.enrichments import DueQuestion, Question
from relay.ledger.lease_holder import Lease, work_and_renew
from relay.ledger.request_limit import SharedRequestLimit
from relay.ledger.warnings import PAUSED_APIS
from relay.logs import get_logger
from relay.measurements import ENRICHMENTS
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.history.enrichment.api import EnrichmentApi

log = get_logger("relay.history")

_LEASE_SECONDS: Final = 60.0
_RENEW_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 2.0
_AT_ONCE: Final = 20

_OUTAGES: Final = frozenset({"unauthorised", "unavailable", "unreachable", "edge"})
"""Failures that do not depend on the call."""

_ANSWERS: Final = {
    Question.ANALYTICS: ResponseKind.ANALYTICS,
    Question.CALL_BACK: ResponseKind.ANALYTICS,
    Question.SUMMARY: ResponseKind.SUMMARY,
    Question.TRANSCRIPT: ResponseKind.TRANSCRIPT,
    Question.SMART_NOTES: ResponseKind.SMART_NOTES,
}


class Enricher:
    """Asks what `[enrich]` says. The settings have an API key."""

    def __init__(self, settings: Settings, ledger: Ledger, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._settings = settings
        self._ledger = ledger
        self._poll_seconds = poll_seconds
        self.lease = Lease(ledger, "enrichment", seconds=_LEASE_SECONDS)
        self._results = Results(ledger, self.lease)
        self._pauses = Pauses()

    def set_settings(self, settings: Settings) -> None:
        """Use the API key of newly loaded settings, at once."""
        self._settings = settings
        self._pauses.clear()

    async def run(self) -> None:
        """Ask until cancelled, whenever the lease is held."""
        try:
            await self.lease.serve(
                lambda: work_and_renew(self.lease, self._work, seconds=_RENEW_SECONDS), _log_failure
            )
        finally:
            await self.lease.release()

    async def _work(self) -> None:
        await self._ledger.write(_clear_warnings)  # an API that was paused is asked now
        while True:
            if not await self.ask_due():
                await asyncio.sleep(self._poll_seconds)

    async def ask_due(self) -> int:
        """Ask what is due, and return how many questions that were. The lease must be held.

        Raises `LedgerError`.
        """
        allowed = questions_of(self._settings)
        if Question.ANALYTICS in allowed:
            allowed |= {Question.CALL_BACK}
        asked = [question for question in allowed if not self._pauses.is_paused(API_OF[question])]
        now = self._ledger.now()
        due = await self._ledger.read(lambda c: enrichments.list_due(c, asked, now=now, limit=_AT_ONCE))
        if not due:
            return 0
        api = self._open_api()
        parser = build_parser(self._settings.cloudtalk)
        try:
            for each in due:
                if not self._pauses.is_paused(API_OF[each.question]):
                    await self._settle(each, api, parser)
        finally:
            await api.aclose()
        return len(due)

    def _open_api(self) -> "EnrichmentApi":
        # Loaded when it is first used: an HTTP client needs 7 MB of memory.
        from relay.history.enrichment.api import EnrichmentApi  # noqa: PLC0415

        api = self._settings.cloudtalk.api
        access = api.access()
        assert access is not None  # noqa: S101 - see the class
        per_minute = max(api.requests_per_minute * 3 // 4, 1)
        return EnrichmentApi(access, SharedRequestLimit(self._ledger, per_minute=per_minute))

    # --- one question ---------------------------------------------------------------------------

    async def _settle(self, due: DueQuestion, api: "EnrichmentApi", parser: Parser) -> None:
        """Ask a question, or find that nobody needs its answer any more."""
        asked = await self._ledger.read(lambda c: look_up(c, due))
        if asked is None or not is_wanted(asked.row, due.question):
            await self._results.end(due)
        elif due.question is Question.ANALYTICS and not asked.is_useful:
            await self._results.look_later(due)
        else:
            await self._ask(due, asked, api, parser)

    async def _ask(self, due: DueQuestion, asked: AskedCall, api: "EnrichmentApi", parser: Parser) -> None:
        from relay.history.enrichment.api import Gone  # noqa: PLC0415 - see `_open_api`

        try:
            content = await api.ask(due.question, asked.call_id)
        except Gone:
            await self._results.give_up(due, "gone")
        except ApiFailure as error:
            await self._handle_failure(due, error)
        else:
            await self._note_answer(API_OF[due.question])
            await self._handle_answer(due, asked, content, parser)

    async def _handle_answer(
        self, due: DueQuestion, asked: AskedCall, content: Mapping[str, Any] | None, parser: Parser
    ) -> None:
        if content is None or (_may_come_later(due, asked, content) and not is_last(due)):
            await self._results.retry(due, "not_found")
            return
        try:
            body = build_body(_ANSWERS[due.question], asked.call_id, content)
            event = parser.parse_one(body.request)
        except Exception as error:  # noqa: BLE001 - one odd answer must not hold up the other questions
            reason = error.reason if isinstance(error, InvalidPayload) else "fault"
            self._log_failure_of(due, reason, error)
            await self._results.retry(due, reason)
            return
        if _says_something(due.question, event):
            await self._results.write_answer(due, asked, body, event)
        elif due.question in {Question.SUMMARY, Question.TRANSCRIPT}:
            await self._results.retry(due, "empty")
        else:
            await self._results.end(due)

    # --- no answer ------------------------------------------------------------------------------

    async def _handle_failure(self, due: DueQuestion, error: ApiFailure) -> None:
        """A failure of the API is no attempt: an outage must not end a question."""
        if error.code == "throttled":
            # Each such answer blocks the searches of the history, too, until CloudTalk's reset.
            await self._pause(API_OF[due.question], error)
            return
        self._log_failure_of(due, error.code, error)
        if error.code in _OUTAGES:
            await self._pause(API_OF[due.question], error)
            await self._results.wait_for_api(due, error.code)
        else:
            await self._note_answer(API_OF[due.question])
            await self._results.retry(due, error.code)

    @staticmethod
    def _log_failure_of(due: DueQuestion, code: str, error: Exception) -> None:
        ENRICHMENTS.add((due.question, "failed"))
        log.warning("enrich.failed", call=due.call, question=due.question, code=code, error=str(error))

    # --- an API that fails ----------------------------------------------------------------------

    async def _pause(self, api: Api, error: ApiFailure) -> None:
        seconds = self._pauses.note_failure(api, error.code)
        if seconds:
            log.warning("enrich.paused", api=api, code=error.code, error=str(error), seconds=seconds)
            now = self._ledger.now()
            await self._ledger.write(lambda c: warnings.record(c, PAUSED_APIS[api], now, str(error)))

    async def _note_answer(self, api: Api) -> None:
        if self._pauses.note_answer(api):
            log.info("enrich.resumed", api=api)
            await self._ledger.write(lambda c: warnings.clear(c, PAUSED_APIS[api]))


def _may_come_later(due: DueQuestion, asked: AskedCall, content: Mapping[str, Any]) -> bool:
    """Whether the analytics do not say yet what a missed call went through."""
    return due.question is Question.ANALYTICS and asked.needs_reason and not has_steps(content)


def _says_something(question: Question, event: CallEvent) -> bool:
    match question:
        case Question.ANALYTICS:
            return True
        case Question.CALL_BACK:
            return "resolved_at" in event.facts
    return question in event.facts


def _clear_warnings(connection: Connection) -> None:
    for name in PAUSED_APIS.values():
        warnings.clear(connection, name)


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("enrich.worker_failed", error=str(error))
    else:
        log.error("enrich.worker_failed", exc_info=error)
