"""Appends rows of CloudTalk's history to the journal: those that the ledger does not have as they are."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from relay.cloudtalk.dialects import HISTORY_PATH
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.history import CONTENT_TYPE, HistoryRow, parse_history_row
from relay.cloudtalk.parser import Parser
from relay.history.counts import Counts
from relay.history.planning import Effect, plan_rows
from relay.history.windows import Range
from relay.instants import Instant, duration
from relay.ledger import Ledger, journal
from relay.ledger.journal import NewEvent
from relay.logs import get_logger
from relay.measurements import EVENTS

log = get_logger("relay.history")

_AT_ONCE: Final = 50
"""Rows that are planned in one read and appended in one transaction: the fold and webhooks wait for less."""

_NEIGHBOURS: Final = 20
"""Rows before and after those: two rows of one number within two minutes may fit the same call."""

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


class FindsUuids(Protocol):
    """The part of `HistoryApi` that this module needs."""

    async def find_uuid(self, call_id: str) -> str | None:
        """Return the call_uuid of a call_id; None if it is not known, or not yet."""


class Importer:
    """Imports the rows of one range. `api` is None in a dry run, which writes nothing and asks nothing.

    `counted`: call_ids that `counts` has already. `last_seq`: the number of the last event that was appended;
    None if none was.
    """

    def __init__(
        self,
        ledger: Ledger,
        parser: Parser,
        wanted: Range,
        counts: Counts,
        api: FindsUuids | None,
        counted: Iterable[str] = (),
    ) -> None:
        self.last_seq: int | None = None
        self._ledger = ledger
        self._parser = parser
        self._wanted = wanted
        self._counts = counts
        self._api = api
        self._seen = set(counted)
        self._last_received_at = Instant(0)

    async def import_rows(self, rows: Sequence[Mapping[str, Any]]) -> Imported:
        """Import the rows of a page. A row that was counted before is left out.

        Raises `ApiFailure`, `LedgerError`; then the page must be imported again.
        """
        every = await self._parse(rows)
        parsed = self._select(every)
        for first in range(0, len(parsed), _AT_ONCE):
            group = parsed[first : first + _AT_ONCE]
            neighbours = [
                *parsed[max(first - _NEIGHBOURS, 0) : first],
                *parsed[first + _AT_ONCE :][:_NEIGHBOURS],
            ]
            effects = await self._plan(group, neighbours)
            kept = []
            for planned in zip(group, effects, strict=True):
                row, effect = planned
                if effect is Effect.AMBIGUOUS and self._api is not None:
                    row, effect = await self._identify(self._api, row)
                self._count(row.call_id, effect)
                if effect in _APPENDED:
                    kept.append(row.parsed)
            await self._append(kept)
            self._seen.update(row.call_id for row in group)
        starts = [row.parsed.event.fact("started_at") for row in every]
        before = self._wanted.since - _DISORDER
        # All of them: one row with a wrong date must not end the reading.
        are_older = bool(starts) and all(start is not None and start < before for start in starts)
        return Imported([row.call_id for row in parsed], are_older=are_older)

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

    async def _plan(self, rows: Sequence[_Row], neighbours: Sequence[_Row] = ()) -> list[Effect]:
        events, others = ([row.parsed.event for row in group] for group in (rows, neighbours))
        now = self._ledger.now()
        return await self._ledger.read(lambda c: plan_rows(c, events, others, now=now))

    async def _identify(self, api: FindsUuids, row: _Row) -> tuple[_Row, Effect]:
        """Ask which of several calls the row is. If nobody knows, it stays a call of its own."""
        uuid = await api.find_uuid(row.call_id)
        self._counts.asked += 1
        ended_at = row.parsed.event.fact("ended_at") or row.parsed.event.fact("started_at")
        if uuid is None and ended_at is not None and ended_at > self._ledger.now() - _LAG:
            return row, Effect.AMBIGUOUS
        identified = parse_history_row(self._parser, row.source, uuid=uuid, alone=uuid is None)
        known = row._replace(parsed=identified)
        (effect,) = await self._plan([known])
        return known, effect

    def _count(self, call_id: str, effect: Effect) -> None:
        counts = self._counts
        counts.calls += 1
        counts.known += effect in _KNOWN
        counts.new += effect is Effect.NEW
        counts.filled += effect is Effect.FILLED
        if effect is Effect.AMBIGUOUS:
            counts.ambiguous += self._api is None
            counts.postponed += self._api is not None
        if effect in {Effect.NEW, Effect.FILLED} and self._api is not None:
            log.info("history.found", call_id=call_id, effect=effect)

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
