"""What a batch of events makes of the calls that are known. Pure: what is to be written comes out."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from relay.call import Call, CallEvent, CallState, build_record, changed_fields, join, state_from_event
from relay.fold.matching import (
    Match,
    dedup_keys,
    keep_ids,
    match_by_number_and_time,
    match_call,
    may_wait,
    must_wait,
    number_of,
)
from relay.ledger.calls import Alias, CallRow
from relay.ledger.journal import Unfolded

_NEVER: Final = 2**63


class Snapshot(msgspec.Struct, frozen=True):
    """What the ledger knows of the calls that these events may belong to.

    `owners`: whose an alias is. `pinned`: aliases that a person split off. `delivered`: when a CRM
    first had a call. `messages`: the keys of those here that were folded before.
    """

    owners: Mapping[str, str]
    known: Mapping[str, CallRow]
    pinned: frozenset[str] = frozenset()
    delivered: Mapping[str, int] = {}
    messages: frozenset[str] = frozenset()


class Conflict(msgspec.Struct, frozen=True):
    """An event whose ids contradict what is known: `dropped` were not believed."""

    seq: int
    event: CallEvent
    dropped: tuple[str, ...]


class Changes(msgspec.Struct):
    """What is to be written. `moved` are the calls of which every CRM is owed a newer version;
    `folded`, `waiting` and `aside` name events by their sequence numbers, `seqs` all that were looked
    at; `merged` says which call each call that is no more went into.
    """

    seqs: list[int] = []
    new: list[CallRow] = []
    known: list[CallRow] = []
    updated: list[Call] = []
    aliases: list[Alias] = []
    merged: dict[str, str] = {}
    folded: list[tuple[int, str]] = []
    waiting: list[tuple[int, str]] = []
    failed: list[tuple[int, Exception]] = []
    conflicts: list[Conflict] = []
    messages: list[tuple[str, int]] = []


def plan_changes(events: Iterable[Unfolded], world: Snapshot) -> Changes:
    """What these events, in this order, make of the world."""
    planner = _Planner(world)
    for event in events:
        planner.changes.seqs.append(event.seq)
        try:
            planner.take(event)
        except Exception as error:  # noqa: BLE001 - an event that breaks the fold must not hold up the rest
            planner.changes.failed.append((event.seq, error))
    return planner.finish()


class _Planner:
    """The world as it changes, event by event."""

    def __init__(self, world: Snapshot) -> None:
        self._world = world
        self._owners = dict(world.owners)
        self._states: dict[str, CallState] = {}
        self._messages = set(world.messages)
        self.changes = Changes()

    def take(self, event: Unfolded) -> None:
        reading = event.reading
        found = match_call(reading.aliases, self._owners, self._aliases_of, self._world.pinned)
        if found.call is None and not event.waited and self._must_wait(reading):
            self.changes.waiting.append((event.seq, reading.aliases[0]))
            return
        if found.call is None and event.waited:
            found = msgspec.structs.replace(
                found, call=match_by_number_and_time(reading, self._calls_with_number(reading))
            )
        if found.dropped:
            self.changes.conflicts.append(Conflict(event.seq, reading, found.dropped))
        self._fold(event, found)

    def _fold(self, event: Unfolded, found: Match) -> None:
        reading = keep_ids(event.reading, found.kept)
        call = found.call or self._new_id(reading)
        before = self._state(call)
        keys = dedup_keys(event.reading)
        if self._messages.isdisjoint(keys):
            said = state_from_event(reading, seq=event.seq, received_at=event.received_at)
            state = join(before, said) if before else said
            # A fact that no record can show must fail here, where it is known which event brought it.
            build_record(state, id=call, version=0)
            self._states[call] = state
            self._messages |= set(keys)
            self.changes.messages += [(key, event.seq) for key in keys]
        self._own(call, reading.aliases, "said" if event.reading.aliases == reading.aliases else "chosen")
        self.changes.folded.append((event.seq, call))
        for other in found.merge:
            self._merge(call, other)

    def _new_id(self, event: CallEvent) -> str:
        """Two ids of different kinds may be spelt alike, and are two calls all the same."""
        plain = f"cloudtalk-{event.name}"
        return f"cloudtalk-{event.aliases[0]}" if self._state(plain) else plain

    def _own(self, call: str, aliases: Iterable[str], reason: str) -> None:
        for alias in aliases:
            if alias not in self._owners:
                self._owners[alias] = call
                self.changes.aliases.append(Alias(alias, call, reason))

    # --- two that are one -----------------------------------------------------------------------

    def _merge(self, one: str, other: str) -> None:
        """The one that a CRM had first stays, so that its record never changes its id."""
        one, other = self._survivor_of(one), self._survivor_of(other)
        if one == other:
            return
        survivor, loser = sorted((one, other), key=self._seniority)
        states = [state for call in (survivor, loser) if (state := self._state(call))]
        self._states[survivor] = join(*states) if len(states) == 2 else states[0]  # noqa: PLR2004 - both
        self._states.pop(loser, None)
        self.changes.merged[loser] = survivor
        self._owners |= {alias: survivor for alias, owner in self._owners.items() if owner == loser}

    def _seniority(self, call: str) -> tuple[int, bool, int, str]:
        known = self._world.known.get(call)
        delivered = self._world.delivered.get(call, _NEVER)
        return delivered, known is None, known.began_at if known else 0, call

    def _survivor_of(self, call: str) -> str:
        while call in self.changes.merged:
            call = self.changes.merged[call]
        return call

    # --- looking --------------------------------------------------------------------------------

    def _state(self, call: str) -> CallState | None:
        if call in self._states:
            return self._states[call]
        known = self._world.known.get(call)
        return known.state if known else None

    def _aliases_of(self, call: str) -> list[str]:
        state = self._state(call)
        return state.aliases if state else []

    def _must_wait(self, event: CallEvent) -> bool:
        if not may_wait(event):
            return False
        return must_wait(event, self._calls_with_number(event).values())

    def _calls_with_number(self, event: CallEvent) -> dict[str, CallState]:
        number = number_of(event)
        if number is None:
            return {}
        rows = {call: row.state for call, row in self._world.known.items()} | self._states
        gone = self.changes.merged
        return {c: s for c, s in rows.items() if c not in gone and number_of(s) == number}

    # --- the rows -------------------------------------------------------------------------------

    def finish(self) -> Changes:
        for call, state in self._states.items():
            self._add(call, state)
        for loser, survivor in self.changes.merged.items():
            self._bury(loser, self._survivor_of(survivor))
        made = {row.id for row in self.changes.new}
        self.changes.aliases = [
            Alias(alias.alias, self._survivor_of(alias.call), alias.reason) for alias in self.changes.aliases
        ]
        self.changes.folded = [(seq, self._survivor_of(call)) for seq, call in self.changes.folded]
        self.changes.merged = {
            loser: self._survivor_of(loser)
            for loser in self.changes.merged
            if loser in self._world.known and loser not in made
        }
        return self.changes

    def _add(self, call: str, state: CallState) -> None:
        known = self._world.known.get(call)
        if known is None:
            record = build_record(state, id=call, version=1)
            began_at = state.fact("started_at") or min(state.seen.values())
            self.changes.new.append(CallRow(call, 1, began_at, state, record, {}, number_of(state)))
            self.changes.updated.append(record)
        elif state != known.state:
            row = newer(known, state)
            self.changes.known.append(row)
            if row.version > known.version:
                self.changes.updated.append(row.record)

    def _bury(self, loser: str, survivor: str) -> None:
        """Its CRMs are owed that it is no more."""
        known = self._world.known.get(loser)
        if known is not None:
            version = known.version + 1
            record = msgspec.structs.replace(known.record, version=version, merged_into=survivor)
            state = CallState({}, known.state.seen, {}, {})
            self.changes.known.append(
                msgspec.structs.replace(known, version=version, record=record, state=state, number=None)
            )
            self.changes.updated.append(record)


def newer(known: CallRow, state: CallState) -> CallRow:
    """The call with this state; a new version only where a field changed that a CRM sees."""
    record = build_record(state, id=known.id, version=known.version + 1)
    changed = dict.fromkeys(changed_fields(known.record, record), record.version)
    number = number_of(state)
    if not changed:
        return msgspec.structs.replace(known, state=state, number=number)
    began_at = state.fact("started_at") or known.began_at
    return CallRow(known.id, record.version, began_at, state, record, known.changed | changed, number)
