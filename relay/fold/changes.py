"""What a batch of events changes in the ledger. Pure: a snapshot in, the rows to write out."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from relay.call import Call, CallEvent, CallState, build_record, join, join_event
from relay.fold.conflicts import Conflict
from relay.fold.dedup import dedup_keys, is_redelivery
from relay.fold.matching import (
    AliasIndex,
    Match,
    customer_number,
    is_transfer_of,
    limit_aliases,
    match_by_ids,
    match_by_number_and_time,
    restrict_ids,
)
from relay.fold.snapshot import Snapshot
from relay.fold.versions import continued_version, first_version, merged_version, next_version
from relay.fold.waiting import may_wait, must_wait
from relay.instants import Instant
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.calls import CallRow
from relay.ledger.errors import MACHINE_FAULTS
from relay.ledger.journal import UnfoldedEvent

_NEVER: Final = Instant(2**63)


class Changes(msgspec.Struct):
    """The rows to write. Events are named by their sequence numbers, calls by their ids.

    `seqs`: all events of the batch. `folded`: (event, its call). `waiting`: (event, the alias that it
    waits for). `failed`: (event, why it cannot be folded). `new_rows` are inserted, `changed_rows`
    updated. `updated`: the records that got a new version, to be delivered to every destination.
    `merged`: id of a call that was merged away → id of the call that it became part of. `dedup_keys`:
    (key, event). `folded_events`: the events in `folded`. `planned_at`: when the fold of the batch began.
    `continued`: those of the new rows whose calls retention had deleted before. `excess`:
    id of a call that has as many aliases as a call may have → number of events whose aliases it did not get.
    """

    seqs: list[int] = []
    new_rows: list[CallRow] = []
    changed_rows: list[CallRow] = []
    updated: list[Call] = []
    aliases: list[Alias] = []
    merged: dict[str, str] = {}
    folded: list[tuple[int, str]] = []
    waiting: list[tuple[int, str]] = []
    failed: list[tuple[int, Exception]] = []
    conflicts: list[Conflict] = []
    continued: list[str] = []
    excess: dict[str, int] = {}
    dedup_keys: list[tuple[str, int]] = []
    folded_events: list[UnfoldedEvent] = []
    planned_at: Instant = Instant(0)


def plan_changes(batch: Iterable[UnfoldedEvent], snapshot: Snapshot) -> Changes:
    """Fold these events into the calls of the snapshot, in the order given.

    Raises one of `MACHINE_FAULTS`; any other error concerns one event.
    """
    events = list(batch)
    try:
        return _plan(events, snapshot, checks_each=False)
    except MACHINE_FAULTS:
        raise
    except Exception:  # noqa: BLE001 - a record cannot be built: find the event because of which
        return _plan(events, snapshot, checks_each=True)


def _plan(events: Iterable[UnfoldedEvent], snapshot: Snapshot, *, checks_each: bool) -> Changes:
    planner = _Planner(snapshot, checks_each=checks_each)
    for unfolded in events:
        planner.changes.seqs.append(unfolded.seq)
        try:
            planner.plan_event(unfolded)
        except MACHINE_FAULTS:
            raise
        except Exception as error:  # noqa: BLE001 - an event that breaks the fold must not hold up the rest
            planner.changes.failed.append((unfolded.seq, error))
    return planner.finish()


class _Planner:
    """The snapshot with the changes of the events so far.

    `checks_each`: build a record after each event, which costs as much as the join. A value that fits in no
    record then fails where the event that has it is known.
    """

    def __init__(self, snapshot: Snapshot, *, checks_each: bool) -> None:
        self._snapshot = snapshot
        self._checks_each = checks_each
        self._owners = dict(snapshot.owners)
        self._states: dict[str, CallState] = {}
        self._seen_keys = set(snapshot.seen_keys)
        self.changes = Changes()

    def plan_event(self, unfolded: UnfoldedEvent) -> None:
        event = unfolded.parsed
        match = self._match_call(unfolded)
        if match is None:
            self.changes.waiting.append((unfolded.seq, event.aliases[0]))
            return
        if match.dropped:
            self.changes.conflicts.append(Conflict(unfolded.seq, event, match.dropped))
        self._fold(unfolded, match)
        self.changes.folded_events.append(unfolded)

    def _match_call(self, unfolded: UnfoldedEvent) -> Match | None:
        """Match the event to its call; None if it must wait for a link.

        By its ids; by number and time only if it shares no id with a call and its wait is over.
        """
        event = unfolded.parsed
        index = AliasIndex(
            self._owners, self._aliases_of, self._snapshot.pinned, partial(self._is_leg, unfolded)
        )
        match = match_by_ids(event.aliases, index)
        if match.call is not None:
            return match
        if unfolded.waited:
            call = match_by_number_and_time(event, dict(self._calls_with_number_of(event)))
            return msgspec.structs.replace(match, call=call)
        same_number = (state for _, state in self._calls_with_number_of(event))
        if may_wait(event) and must_wait(event, same_number):
            return None
        return match

    def _fold(self, unfolded: UnfoldedEvent, match: Match) -> None:
        limited = limit_aliases(match, self._aliases_of)
        if limited is not match:
            full = str(match.call)
            self.changes.excess[full] = self.changes.excess.get(full, 0) + 1
        event = restrict_ids(unfolded.parsed, limited.accepted)
        call = limited.call or self._new_id(event)
        self._join(call, event, unfolded)
        is_whole = event.aliases == unfolded.parsed.aliases
        reason = AliasReason.STATED if is_whole else AliasReason.CHOSEN
        self._add_aliases(call, event.aliases, reason)
        self.changes.folded.append((unfolded.seq, call))
        for other in limited.merge:
            self._merge(call, other)

    def _join(self, call: str, event: CallEvent, unfolded: UnfoldedEvent) -> None:
        keys = dedup_keys(unfolded.parsed)
        if is_redelivery(keys, self._seen_keys):
            return
        before = self._state(call)
        state = join_event(before, event, seq=unfolded.seq, received_at=unfolded.received_at)
        if self._checks_each:
            build_record(state, id=call, version=0)
        self._states[call] = state
        self._seen_keys |= set(keys)
        self.changes.dedup_keys += [(key, unfolded.seq) for key in keys]

    def _new_id(self, event: CallEvent) -> str:
        """The id of the record that this event begins. An alias may be spelt like one of another namespace
        that began a call: then the id contains the namespace too.
        """
        plain = f"cloudtalk-{event.name}"
        return f"cloudtalk-{event.aliases[0]}" if self._state(plain) else plain

    def _add_aliases(self, call: str, aliases: Iterable[str], reason: AliasReason) -> None:
        for alias in aliases:
            if alias not in self._owners:
                self._owners[alias] = call
                self.changes.aliases.append(Alias(alias, call, reason))

    def _state(self, call: str) -> CallState | None:
        if call in self._states:
            return self._states[call]
        row = self._snapshot.calls.get(call)
        return row.state if row else None

    def _aliases_of(self, call: str) -> list[str]:
        state = self._state(call)
        if state is not None:
            return state.aliases
        # Of a deleted call all ids still count: an id that another call stated must not continue it.
        tombstone = self._snapshot.tombstones.get(call)
        return tombstone.aliases if tombstone else []

    def _is_leg(self, unfolded: UnfoldedEvent, call: str) -> bool | None:
        state = self._state(call)
        return None if state is None else is_transfer_of(unfolded.parsed, unfolded.received_at, state)

    def _calls_with_number_of(self, event: CallEvent) -> Iterator[tuple[str, CallState]]:
        """The calls with the event's customer number. Few events need them, and each looks at all calls."""
        number = customer_number(event)
        if number is None:
            return
        states = {call: row.state for call, row in self._snapshot.calls.items()} | self._states
        for call, state in states.items():
            if call not in self.changes.merged and customer_number(state) == number:
                yield call, state

    # --- merging two calls ----------------------------------------------------------------------

    def _merge(self, first: str, second: str) -> None:
        """Merge two calls. The one that a CRM received first survives, so that its record keeps its id.

        A call that retention deleted and that no CRM has does not survive: only late events are known of it.
        """
        first, second = self._survivor_of(first), self._survivor_of(second)
        if first == second:
            return
        survivor, loser = sorted((first, second), key=self._seniority)
        states = [state for call in (survivor, loser) if (state := self._state(call))]
        self._states[survivor] = join(*states) if len(states) == 2 else states[0]  # noqa: PLR2004 - both
        self._states.pop(loser, None)
        self.changes.merged[loser] = survivor
        self._owners |= {alias: survivor for alias, owner in self._owners.items() if owner == loser}

    def _seniority(self, call: str) -> tuple[Instant, bool, bool, Instant, str]:
        row = self._snapshot.calls.get(call)
        first_delivered = self._snapshot.first_delivered.get(call, _NEVER)
        is_deleted = call in self._snapshot.tombstones
        return first_delivered, is_deleted, row is None, row.began_at if row else Instant(0), call

    def _survivor_of(self, call: str) -> str:
        while call in self.changes.merged:
            call = self.changes.merged[call]
        return call

    # --- the rows -------------------------------------------------------------------------------

    def finish(self) -> Changes:
        """Build the rows, and point everything that names a merged call to the survivor."""
        for call, state in self._states.items():
            self._add_row(call, state)
        for loser in self.changes.merged:
            self._add_merged_row(loser, self._survivor_of(loser))
        self.changes.aliases = [
            Alias(alias.alias, self._survivor_of(alias.call), alias.reason) for alias in self.changes.aliases
        ]
        self.changes.folded = [(seq, self._survivor_of(call)) for seq, call in self.changes.folded]
        self.changes.merged = {
            loser: self._survivor_of(loser) for loser in self.changes.merged if self._is_stored(loser)
        }
        return self.changes

    def _is_stored(self, call: str) -> bool:
        """Whether the ledger has aliases of this call."""
        return call in self._snapshot.calls or call in self._snapshot.tombstones

    def _add_row(self, call: str, state: CallState) -> None:
        row = self._snapshot.calls.get(call)
        if row is None:
            row = self._first_row(call, state)
            self.changes.new_rows.append(row)
            self.changes.updated.append(row.record)
        elif state != row.state:
            changed = next_version(row, state, floor=self._snapshot.version_floor)
            self.changes.changed_rows.append(changed)
            if changed.version > row.version:
                self.changes.updated.append(changed.record)

    def _first_row(self, call: str, state: CallState) -> CallRow:
        """The row of a new call, or of a call that retention deleted and that a late event continues."""
        tombstone = self._snapshot.tombstones.get(call)
        if tombstone is None:
            return first_version(call, state, floor=self._snapshot.version_floor)
        self.changes.continued.append(call)
        state.aliases = sorted({*state.aliases, *tombstone.aliases})
        return continued_version(call, state, after=tombstone.version, floor=self._snapshot.version_floor)

    def _add_merged_row(self, loser: str, survivor: str) -> None:
        """Give a merged call a last version that names its survivor: CRMs that have it retract it."""
        if (row := self._snapshot.calls.get(loser)) is not None:
            rows = self.changes.changed_rows
        elif loser in self._snapshot.first_delivered:  # a deleted call that a CRM has
            row = self._first_row(loser, CallState({}, self._states[survivor].seen, {}, {}))
            rows = self.changes.new_rows
        else:
            return
        merged = merged_version(row, survivor, floor=self._snapshot.version_floor)
        rows.append(merged)
        self.changes.updated.append(merged.record)
