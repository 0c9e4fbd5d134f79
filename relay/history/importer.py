"""Appends rows of CloudTalk's history to the journal: those that the ledger does not have as they are."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from relay.call import CallEvent
from relay.cloudtalk.dialects import HISTORY_PATH
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.history import CONTENT_TYPE, HistoryRow, parse_history_row
from relay.cloudtalk.parser import Parser
from relay.history.counts import Counts
from relay.history.nearby import NearbyRows
from relay.history.planning import Effect, Planned, plan_rows
from relay.history.windows import Range
from relay.instants import Instant, duration
from relay.ledger import Ledger, journal
from relay.ledger.journal import NewEvent
from relay.logs import get_logger
from relay.measurements import EVENTS

log = get_logger("relay.history")

_AT_ONCE: Final = 50
"""Rows that are planned in one read and appended in one transaction: the fold and webhooks wait for less."""

_DISORDER: Final = duration(3_600)
"""How much later a call may have begun than one before it, although the newest should come first."""

_LAG: Final = duration(3_600)
"""How long the analytics API may not know a call yet. It usually lags by seconds."""

_APPENDED: Final = frozenset({Effect.NEW, Effect.FILLED, Effect.LINKED})
_KNOWN: Final = frozenset({Effect.FILLED, Effect.LINKED, Effect.NOTHING, Effect.DELETED})


class _Row(NamedTuple):
    """A row: its call_id, what CloudTalk sent, and what it was parsed to."""

    call_id: str
    source: Mapping[str, Any]
    parsed: HistoryRow


class Imported(NamedTuple):
    """The call_ids of a page that were counted. `are_older`: all further calls began before the range."""

    call_ids: list[str]
    are_older: bool


class AnswersQuestions(Protocol):
    """The part of `HistoryApi` that this module needs."""

    async def find_uuid(self, call_id: str) -> str | None:
        """Return the call_uuid of a call_id; None if it is not known, or not yet."""

    async def has_call(self, call_id: str) -> bool:
        """Return whether the history has a call with this number."""


class Importer:
    """Imports the rows of one range. `api` is None in a dry run, which writes nothing and asks nothing.

    `counted`: call_ids that `counts` has already. `on_count` is called with the call_id and the effect of
    each row that is counted. `last_seq`: the number of the last event that was appended; None if none was.
    `postponed_since`: when the earliest call began that a later import must read again; None if there is
    none.
    """

    def __init__(
        self,
        ledger: Ledger,
        parser: Parser,
        wanted: Range,
        counts: Counts,
        api: AnswersQuestions | None,
        counted: Iterable[str] = (),
        on_count: Callable[[str, Effect], None] = lambda _id, _effect: None,
    ) -> None:
        self.last_seq: int | None = None
        self.postponed_since: Instant | None = None
        self._ledger = ledger
        self._parser = parser
        self._wanted = wanted
        self._counts = counts
        self._api = api
        self._seen = set(counted)
        self._on_count = on_count
        self._last_received_at = Instant(0)
        self._last: list[CallEvent] | None = None

    async def import_rows(
        self, rows: Sequence[Mapping[str, Any]], *, is_first: bool = True, has_older: bool = False
    ) -> Imported:
        """Import the rows of a page. A row that was counted before is left out.

        `is_first`: whether it is the first page of a window. `has_older`: whether older rows follow it.
        Raises `ApiFailure`, `LedgerError`; then the page must be imported again.
        """
        every = await self._parse(rows)
        events = [row.parsed.event for row in every]
        nearby = NearbyRows(events, () if is_first else self._last, has_older=has_older)
        parsed = self._select(every)
        for first in range(0, len(parsed), _AT_ONCE):
            await self._import_group(parsed[first : first + _AT_ONCE], nearby)
        self._last = nearby.last
        starts = [event.fact("started_at") for event in events]
        before = self._wanted.since - _DISORDER
        # All of them: one row with a wrong date must not end the reading.
        are_older = bool(starts) and all(start is not None and start < before for start in starts)
        return Imported([row.call_id for row in parsed], are_older=are_older)

    async def _import_group(self, group: Sequence[_Row], nearby: NearbyRows) -> None:
        events = [row.parsed.event for row in group]
        edges = nearby.edges(events)
        kept = []
        planned = await self._plan(events, nearby.around(events), edges)
        for index, (row, plan) in enumerate(zip(group, planned, strict=True)):
            decided, effect = await self._decide(row, plan, is_edge=index in edges)
            self._count(row.call_id, effect)
            if effect in _APPENDED:
                kept.append(decided)
            elif effect is Effect.AMBIGUOUS:
                self._note_postponed(row.parsed.event.fact("started_at"))
        await self._append(kept)
        self._seen.update(row.call_id for row in group)

    async def _parse(self, rows: Sequence[Mapping[str, Any]]) -> list[_Row]:
        parsed: list[_Row] = []
        for number, source in enumerate(rows):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # so that a page does not delay requests
            try:
                row = parse_history_row(self._parser, source)
            except InvalidPayload as error:
                self._counts.unreadable += 1
                log.warning("history.row_unreadable", error=str(error), pointer=error.pointer)
                continue
            parsed.append(_Row(str(row.event.fact("call_id")), source, row))
        return parsed

    def _select(self, rows: Iterable[_Row]) -> list[_Row]:
        """Return each row once that began in the range and was not counted."""
        selected = {
            row.call_id: row
            for row in rows
            if self._wanted.has(row.parsed.event.fact("started_at")) and row.call_id not in self._seen
        }
        return list(selected.values())

    async def _plan(
        self, events: Sequence[CallEvent], others: Sequence[CallEvent] = (), edges: Sequence[int] = ()
    ) -> list[Planned]:
        now = self._ledger.now()
        return await self._ledger.read(lambda c: plan_rows(c, events, others, edges=edges, now=now))

    async def _decide(self, row: _Row, plan: Planned, *, is_edge: bool) -> tuple[HistoryRow, Effect]:
        """Return the row to append, with what is learnt about it, and what it changes."""
        if plan.asks:
            return await self._identify(row, plan.effect)
        if plan.name is None or (is_edge and (self._api is None or await self._api.has_call(plan.name))):
            return row.parsed, plan.effect
        named = parse_history_row(self._parser, row.source, named=plan.name)
        return named, (await self._plan([named.event]))[0].effect

    async def _identify(self, row: _Row, effect: Effect) -> tuple[HistoryRow, Effect]:
        """Ask which call the row is. If CloudTalk does not say it, the row stays a call of its own."""
        if self._api is None:
            return row.parsed, effect
        uuid = await self._api.find_uuid(row.call_id)
        self._counts.asked += 1
        ended_at = row.parsed.event.fact("ended_at") or row.parsed.event.fact("started_at")
        if uuid is None and ended_at is not None and ended_at > self._ledger.now() - _LAG:
            return row.parsed, effect
        identified = parse_history_row(self._parser, row.source, uuid=uuid, alone=uuid is None)
        return identified, (await self._plan([identified.event]))[0].effect

    def _count(self, call_id: str, effect: Effect) -> None:
        counts = self._counts
        self._on_count(call_id, effect)
        counts.calls += 1
        counts.known += effect in _KNOWN
        counts.new += effect is Effect.NEW
        counts.filled += effect is Effect.FILLED
        if effect is Effect.AMBIGUOUS:
            counts.ambiguous += self._api is None
            counts.postponed += self._api is not None
        if effect in {Effect.NEW, Effect.FILLED} and self._api is not None:
            log.info("history.found", call_id=call_id, effect=effect)

    def _note_postponed(self, started_at: Instant | None) -> None:
        starts = (self.postponed_since, started_at)
        self.postponed_since = min((start for start in starts if start is not None), default=None)

    async def _append(self, rows: Sequence[HistoryRow]) -> None:
        if not rows or self._api is None:
            return
        new = [
            NewEvent(self._next_received_at(), CONTENT_TYPE, HISTORY_PATH, "", row.raw, row.event)
            for row in rows
        ]
        seqs = await self._ledger.write(lambda connection: journal.append(connection, new))
        self.last_seq = max(seqs)
        for row in rows:
            EVENTS.add((row.event.dialect, row.event.kind))

    def _next_received_at(self) -> Instant:
        self._last_received_at = Instant(max(self._ledger.now(), self._last_received_at + 1))
        return self._last_received_at
