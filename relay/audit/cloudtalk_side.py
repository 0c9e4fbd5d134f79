"""Compare CloudTalk's history with the ledger: import what only the history has."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from relay.audit.report import CloudTalkSide
from relay.cloudtalk.identity import alias_of_id
from relay.cloudtalk.parser import Parser
from relay.history.api import HistoryApi
from relay.history.counts import Counts
from relay.history.errors import ApiFailure
from relay.history.importer import Importer
from relay.history.planning import Effect
from relay.history.reading import Progress, read_history
from relay.history.windows import Range, divide
from relay.ledger import Ledger, aliases
from relay.ledger.audits import MOST_FINDINGS, Finding, FindingKind
from relay.ledger.connection import Connection

_KINDS: Final = {Effect.NEW: FindingKind.UNKNOWN, Effect.FILLED: FindingKind.INCOMPLETE}


class CloudTalkAudit:
    """The audit of CloudTalk's history. `side` has what was found; `last_seq` is the number of the last event
    that was imported, None if none was.
    """

    def __init__(self, ledger: Ledger, api: HistoryApi, parser: Parser, *, repairs: bool) -> None:
        self.side = CloudTalkSide()
        self.last_seq: int | None = None
        self._ledger = ledger
        self._api = api
        self._parser = parser
        self._repairs = repairs
        self._found: dict[str, FindingKind] = {}
        self._deleted: list[str] = []

    async def compare(self, wanted: Range, on_progress: Callable[[int, int], None]) -> None:
        """Read the history, and import what the ledger lacks. `on_progress` receives the requests that were
        sent, and about how many there are. Raises `LedgerError`.
        """
        counts = Counts()
        progress = Progress(divide(wanted), counts)
        api = self._api if self._repairs else None
        importer = Importer(self._ledger, self._parser, wanted, counts, api, on_count=self._note)

        async def after_page() -> None:
            on_progress(self._api.requests, self._api.requests + progress.position.pages_left)

        try:
            await read_history(self._api, importer, progress, after_page=after_page)
        except ApiFailure as error:
            self.side.problem = str(error)
        self.last_seq = importer.last_seq
        self._take(counts)

    def _note(self, call_id: str, effect: Effect) -> None:
        if effect in _KINDS and len(self._found) < MOST_FINDINGS:
            self._found[call_id] = _KINDS[effect]
        if effect is Effect.DELETED and len(self._deleted) < MOST_FINDINGS:
            self._deleted.append(call_id)

    def _take(self, counts: Counts) -> None:
        self.side.calls = counts.calls
        self.side.unknown = counts.new
        self.side.incomplete = counts.filled
        self.side.postponed = counts.postponed + counts.ambiguous
        self.side.unreadable = counts.unreadable
        self.side.requests = self._api.requests

    async def list_findings(self) -> list[Finding]:
        """Return what was found, by the ids of the records once the fold has made them."""
        ids = await self._ledger.read(partial(_record_ids, call_ids=self._found))
        return [
            Finding("", ids.get(call_id, call_id), kind, repaired=self._repairs)
            for call_id, kind in self._found.items()
        ]

    async def list_forgotten(self) -> list[str]:
        """Return the call_ids of calls that a person had forgotten. Of one that retention deleted the ledger
        still has the ids.
        """
        known = await self._ledger.read(partial(_record_ids, call_ids=self._deleted))
        return [call_id for call_id in self._deleted if call_id not in known]


def _record_ids(connection: Connection, call_ids: Iterable[str]) -> Mapping[str, str]:
    by_alias = {alias_of_id(call_id): call_id for call_id in call_ids}
    return {by_alias[each.alias]: each.call for each in aliases.get_many(connection, list(by_alias))}
