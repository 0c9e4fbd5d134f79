"""What a batch of events changes in the ledger. Pure: a snapshot in, the rows to write out."""

from collections.abc import Iterable
from typing import Final

import msgspec

from relay.call import Call, CallEvent, CallState, build_record, join, join_event
from relay.fold.conflicts import Conflict
from relay.fold.dedup import dedup_keys, is_redelivery
from relay.fold.forgotten import is_forgotten
from relay.fold.links import named_calls
from relay.fold.match_event import match_event
from relay.fold.matching import Match, customer_number, limit_aliases, restrict_ids
from relay.fold.planned_calls import PlannedCalls
from relay.fold.snapshot import Snapshot
from relay.fold.versions import continued_version, first_version, merged_version, next_version
from relay.instants import Instant
from relay.ledger.aliases import LEG_OF, Alias, AliasReason
from relay.ledger.calls import CallRow
from relay.ledger.errors import MACHINE_FAULTS
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.search_terms import has_same_terms

_NEVER: Final = Instant(2**63)


class Changes(msgspec.Struct):
    """The rows to write. Events are named by their sequence numbers, calls by their ids.

    `seqs`: all events of the batch. `folded`: (event, its call). `waiting`: (event, the alias that it
    waits for). `failed`: (event, why it cannot be folded). `new_rows` are inserted, `changed_rows`
    updated. `updated`: the records that got a new version, to be delivered to every destination.
    `merged`: id of a call that was merged away → id of the call that it became part of. `dedup_keys`:
    (key, event). `folded_events`: the events in `folded`. `planned_at`: when the fold of the batch began.
    `same_terms`: those of the changed rows whose calls the same searches find as before.
    `continued`: those of the new rows whose calls retention had deleted before. `excess`:
    id of a call that has as many aliases as a call may have → number of events whose aliases it did not get.
    `forgotten`: (event, its ids that no call has, its customer's number) of the events about forgotten calls,
    to be deleted.
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
    same_terms: set[str] = set()
    continued: list[str] = []
    excess: dict[str, int] = {}
    dedup_keys: list[tuple[str, int]] = []
    folded_events: list[UnfoldedEvent] = []
    planned_at: Instant = Instant(0)
    forgotten: list[tuple[int, list[str], str | None]] = []


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
        self._calls = PlannedCalls(snapshot)
        self._seen_keys = set(snapshot.seen_keys)
        self._forgotten = snapshot.forgotten
        self.changes = Changes()

    def plan_event(self, unfolded: UnfoldedEvent) -> None:
        if self._forgotten is not None and is_forgotten(unfolded, self._forgotten, self._calls.owners):
            ids = [alias for alias in unfolded.parsed.aliases if alias not in self._calls.owners]
            number = customer_number(unfolded.parsed)
            self.changes.forgotten.append((unfolded.seq, ids, number))
            self._forgotten = self._forgotten.with_ids(ids, number, unfolded.received_at)
            return
        event = unfolded.parsed
        match = match_event(unfolded, self._calls)
        if match is None:
            self.changes.waiting.append((unfolded.seq, event.aliases[0]))
            return
        if match.dropped:
            self.changes.conflicts.append(Conflict(unfolded.seq, event, match.dropped))
        self._fold(unfolded, match)
        self.changes.folded_events.append(unfolded)

    def _fold(self, unfolded: UnfoldedEvent, match: Match) -> None:
        limited = limit_aliases(match, self._calls.aliases_of)
        if limited is not match:
            full = str(match.call)
            self.changes.excess[full] = self.changes.excess.get(full, 0) + 1
        event = restrict_ids(unfolded.parsed, limited.accepted)
        call = limited.call or self._new_id(event)
        self._join(call, event, unfolded)
        is_whole = event.aliases == unfolded.parsed.aliases
        reason = match.reason or (AliasReason.STATED if is_whole else AliasReason.CHOSEN)
        self._add_aliases(call, event.aliases, reason)
        self._add_aliases(call, (LEG_OF + named for named in named_calls(event)), AliasReason.LEG)
        self.changes.folded.append((unfolded.seq, call))
        for other in limited.merge:
            self._merge(call, other)

    def _join(self, call: str, event: CallEvent, unfolded: UnfoldedEvent) -> None:
        keys = dedup_keys(unfolded.parsed)
        if is_redelivery(keys, self._seen_keys):
            return
        before = self._calls.state(call)
        state = join_event(before, event, seq=unfolded.seq, received_at=unfolded.received_at)
        if self._checks_each:
            build_record(state, id=call, version=0)
        self._calls.set_state(call, state)
        self._seen_keys |= set(keys)
        self.changes.dedup_keys += [(key, unfolded.seq) for key in keys]

    def _new_id(self, event: CallEvent) -> str:
        """The id of the record that this event begins. An alias may be spelt like one of another namespace
        that began a call: then the id contains the namespace too.
        """
        plain = f"cloudtalk-{event.name}"
        return f"cloudtalk-{event.aliases[0]}" if self._calls.state(plain) else plain

    def _add_aliases(self, call: str, aliases: Iterable[str], reason: AliasReason) -> None:
        for alias in aliases:
            if alias not in self._calls.owners:
                self._calls.owners[alias] = call
                self.changes.aliases.append(Alias(alias, call, reason))

    # --- merging two calls ----------------------------------------------------------------------

    def _merge(self, first: str, second: str) -> None:
        """Merge two calls. The one that a CRM received first survives, so that its record keeps its id.

        A call that retention deleted and that no CRM has does not survive: only late events are known of it.
        """
        first, second = self._calls.survivor_of(first), self._calls.survivor_of(second)
        if first == second:
            return
        survivor, loser = sorted((first, second), key=self._seniority)
        states = [state for call in (survivor, loser) if (state := self._calls.state(call))]
        self._calls.merge(loser, survivor, join(*states) if len(states) == 2 else states[0])  # noqa: PLR2004 - both

    def _seniority(self, call: str) -> tuple[Instant, bool, bool, Instant, str]:
        row = self._snapshot.calls.get(call)
        first_delivered = self._snapshot.first_delivered.get(call, _NEVER)
        is_deleted = call in self._snapshot.tombstones
        return first_delivered, is_deleted, row is None, row.began_at if row else Instant(0), call

    # --- the rows -------------------------------------------------------------------------------

    def finish(self) -> Changes:
        """Build the rows, and point everything that names a merged call to the survivor."""
        for call, state in self._calls.states.items():
            self._add_row(call, state)
        for loser in self._calls.merged:
            self._add_merged_row(loser, self._calls.survivor_of(loser))
        self.changes.aliases = [
            Alias(alias.alias, self._calls.survivor_of(alias.call), alias.reason)
            for alias in self.changes.aliases
        ]
        self.changes.folded = [(seq, self._calls.survivor_of(call)) for seq, call in self.changes.folded]
        self.changes.merged = {
            loser: self._calls.survivor_of(loser) for loser in self._calls.merged if self._is_stored(loser)
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
            if changed.began_at == row.began_at and has_same_terms(row.record, changed.record):
                self.changes.same_terms.add(call)
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
            row = self._first_row(loser, CallState({}, self._calls.states[survivor].seen, {}, {}))
            rows = self.changes.new_rows
        else:
            return
        merged = merged_version(row, survivor, floor=self._snapshot.version_floor)
        rows.append(merged)
        self.changes.updated.append(merged.record)
