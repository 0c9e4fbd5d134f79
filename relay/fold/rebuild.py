"""Recompute calls from the journal, after an upgrade or a change of settings.

A rebuild recomputes facts. Ids, aliases and merges stay: CRMs have received them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from relay.call import CallEvent, CallState
from relay.cloudtalk.parser import Parser
from relay.fold.call_backs import update_call_backs
from relay.fold.join_stored import join_events
from relay.fold.options import FoldOptions
from relay.fold.parse_again import parse_again
from relay.fold.retry_quarantined import retry_event
from relay.fold.versions import next_version
from relay.ledger import Ledger, calls, deliveries, epochs, journal, recordings
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.journal import MAX_FOLD_BYTES, EventSize, StoredEvent
from relay.ledger.lease_holder import Lease, run_in_slices

_PAGE: Final = 50
_SLICE_EVENTS: Final = 500
"""The limit of events that are read or written in one transaction, so that ingest never waits for long."""


class RebuildResult(msgspec.Struct):
    """`calls`: how many calls were recomputed, `changed`: how many of them got a new version.

    `unread`: events whose body the parser does not accept any more; their stored parsed form was used.
    `skipped`: calls that stay as they are because some of their events were pruned. `retried`: events that
    were set aside and that the fold tries again.
    """

    calls: int = 0
    changed: int = 0
    unread: int = 0
    skipped: int = 0
    retried: int = 0


async def rebuild_calls(
    ledger: Ledger, parser: Parser, options: FoldOptions, on_progress: Callable[[int, int], None]
) -> RebuildResult:
    """Recompute all calls, one slice of their events per transaction; a relay may serve meanwhile.

    `on_progress` gets the number of calls so far and in all. Raises `LeaseLost`.
    """
    lease = Lease(ledger, "fold", seconds=15)
    total = await ledger.read(calls.count)
    rebuild = _Rebuild(ledger, lease, parser, options)

    async def step() -> bool:
        more = await rebuild.run_step()
        on_progress(rebuild.result.calls + rebuild.result.skipped, total)
        return more

    await run_in_slices(lease, rebuild.retry_aside)
    await run_in_slices(lease, step)
    return rebuild.result


class _CallInProgress(msgspec.Struct):
    """A call whose events are joined slice by slice: `row` as it was before, `joined` the events so far."""

    row: CallRow
    joined: set[int] = msgspec.field(default_factory=set)
    state: CallState | None = None


class _Parsed(msgspec.Struct, frozen=True):
    """A slice of events: the states of their calls, the parsed forms that changed, the number of unread."""

    states: dict[str, CallState]
    replaced: list[tuple[int, CallEvent]]
    unread: int


class _Finished(msgspec.Struct, frozen=True):
    """Calls of which all events are joined.

    `updated`: (id, version) of those with a new version. `changed`: calls that the fold has changed
    meanwhile, each as it is now, with its events.
    """

    updated: list[tuple[str, int]]
    changed: list[tuple[CallRow, list[EventSize]]]


class _Rebuild:
    """The calls of one page at a time, with the events that are not joined yet."""

    def __init__(self, ledger: Ledger, lease: Lease, parser: Parser, options: FoldOptions) -> None:
        self.result = RebuildResult()
        self._ledger = ledger
        self._lease = lease
        self._parser = parser
        self._options = options
        self._after = ""
        self._calls: dict[str, _CallInProgress] = {}
        self._events: deque[EventSize] = deque()

    # --- events that were set aside -------------------------------------------------------------

    async def retry_aside(self) -> bool:
        """Let the fold try the next events again that were set aside; return whether there are more."""
        seqs = (await self._ledger.read(journal.list_aside))[:_PAGE]
        self.result.retried += len(seqs)
        await self._ledger.write(lambda connection: self._retry_aside(connection, seqs))
        return len(seqs) == _PAGE

    def _retry_aside(self, connection: Connection, seqs: Sequence[int]) -> None:
        self._lease.check(connection)
        for seq in seqs:
            retry_event(connection, self._parser, journal.get(connection, seq))

    # --- calls ----------------------------------------------------------------------------------

    async def run_step(self) -> bool:
        """Join the next slice of events, and write the calls that are complete; return whether there is more.

        No transaction changes this object, because it may run twice.
        """
        if not self._calls:
            ids = await self._read_page()
            return len(ids) == _PAGE or bool(self._calls)
        events = self._next_slice()
        parsed = await self._ledger.read(lambda connection: self._parse(connection, events))
        self._add(events, parsed)
        complete = self._calls.keys() - {event.call for event in self._events}
        finished = await self._ledger.write(lambda c: self._write(c, parsed, sorted(complete)))
        self.result.changed += len(finished.updated)
        self.result.calls += len(complete) - len(finished.changed)
        in_progress = {call: self._calls.pop(call) for call in complete}
        for row, events_now in finished.changed:
            self._resume(in_progress[row.id], row, events_now)
        return True

    def _resume(self, before: _CallInProgress, row: CallRow, events: Sequence[EventSize]) -> None:
        """Join what the fold added to a call meanwhile, or begin again if the call has lost something."""
        is_extended = before.joined <= {event.seq for event in events}
        if is_extended and before.row.state.aliases == row.state.aliases:
            progress = msgspec.structs.replace(before, row=row)
        else:
            progress = _CallInProgress(row)
        self._calls[row.id] = progress
        self._events.extend(event for event in events if event.seq not in progress.joined)

    async def _read_page(self) -> list[str]:
        ids = await self._ledger.read(lambda c: calls.list_ids_after(c, self._after, _PAGE))
        pruned = await self._ledger.read(lambda c: calls.list_pruned_ids(c, ids))
        self.result.skipped += len(pruned)
        rows = await self._ledger.read(lambda c: calls.get_many(c, [id_ for id_ in ids if id_ not in pruned]))
        self._calls = {id_: _CallInProgress(row) for id_, row in rows.items()}
        self._events.extend(await self._ledger.read(lambda c: journal.list_sizes(c, sorted(rows))))
        self._after = ids[-1] if ids else self._after
        return ids

    def _next_slice(self) -> list[EventSize]:
        events: list[EventSize] = []
        size = 0
        while self._events and len(events) < _SLICE_EVENTS:
            size += self._events[0].size
            if events and size > MAX_FOLD_BYTES:
                break
            events.append(self._events.popleft())
        return events

    def _parse(self, connection: Connection, events: Sequence[EventSize]) -> _Parsed:
        """Parse these events again, and join those of each call. An event that was folded into another call
        meanwhile is left out: `_write` finds that its call has changed.
        """
        replaced: list[tuple[int, CallEvent]] = []
        by_call: dict[str, list[StoredEvent]] = {}
        unread = 0
        for event in journal.get_many(connection, [event.seq for event in events]):
            if event.call not in self._calls:
                continue
            parsed = parse_again(self._parser, event)
            unread += parsed is None
            if parsed is not None and parsed != event.parsed:
                replaced.append((event.seq, parsed))
            current = msgspec.structs.replace(event, parsed=parsed or event.parsed)
            by_call.setdefault(event.call, []).append(current)
        states = {
            call: state
            for call, of_call in by_call.items()
            if (state := self._join(connection, call, of_call)) is not None
        }
        return _Parsed(states, replaced, unread)

    def _join(self, connection: Connection, call: str, events: Sequence[StoredEvent]) -> CallState | None:
        progress = self._calls[call]
        return join_events(connection, events, progress.row.state.aliases, progress.state)

    def _add(self, events: Sequence[EventSize], parsed: _Parsed) -> None:
        self.result.unread += parsed.unread
        for event in events:
            self._calls[event.call].joined.add(event.seq)
        for call, state in parsed.states.items():
            progress = self._calls[call]
            progress.state = state

    def _write(self, connection: Connection, parsed: _Parsed, complete: Sequence[str]) -> _Finished:
        self._lease.check(connection)
        for seq, event in parsed.replaced:
            journal.replace_parsed(connection, seq, event)
        rows = calls.get_many(connection, complete)
        events: dict[str, list[EventSize]] = {call: [] for call in complete}
        for stored in journal.list_sizes(connection, complete):
            events[stored.call].append(stored)
        floor = epochs.version_floor(connection)
        changed = {call for call, row in rows.items() if self._has_changed(row, events[call])}
        updated = [
            next_row
            for call, row in rows.items()
            if call not in changed
            and (next_row := _next_row(row, self._calls[call].state, floor)) is not None
        ]
        calls.write(connection, [], updated)
        # Of all calls: the settings may count other conversations than before.
        recomputed = {id_: row for id_, row in rows.items() if id_ not in changed}
        recomputed |= {row.id: row for row in updated}
        called_back = update_call_backs(
            connection, recomputed.values(), window=self._options.call_back_window, recomputed=True
        )
        versions = {row.id: row.version for row in updated if row.version > rows[row.id].version}
        versions |= {row.id: row.version for row in called_back}
        deliveries.enqueue(connection, list(versions.items()), now=self._lease.now())
        if self._options.archives_recordings:
            recordings.enqueue(connection, [row.record for row in updated], now=self._lease.now())
        return _Finished(list(versions.items()), [(rows[call], events[call]) for call in sorted(changed)])

    def _has_changed(self, row: CallRow, events: Sequence[EventSize]) -> bool:
        """Whether the fold or an operator changed this call since it was read."""
        progress = self._calls[row.id]
        return row != progress.row or progress.joined != {event.seq for event in events}


def _next_row(row: CallRow, state: CallState | None, floor: int) -> CallRow | None:
    """The row with this state; None if it has this state already."""
    if state is None:
        return None
    state = msgspec.structs.replace(state, aliases=row.state.aliases, call_back=row.state.call_back)
    return next_version(row, state, floor=floor) if state != row.state else None
