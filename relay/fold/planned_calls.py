"""The calls of a snapshot with what the events of a batch have changed so far."""

from collections import defaultdict

from relay.call import CallState
from relay.fold.matching import customer_number
from relay.fold.snapshot import Snapshot


class PlannedCalls:
    """`owners`: alias → id of its call. `merged`: id of a merged call → id of the call it became part of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.owners = dict(snapshot.owners)
        self.merged: dict[str, str] = {}
        self.states: dict[str, CallState] = {}
        self._by_number: defaultdict[str, set[str]] | None = None

    def state(self, call: str) -> CallState | None:
        """Return the state of a call; None if there is none, or if retention deleted the call."""
        if call in self.states:
            return self.states[call]
        row = self.snapshot.calls.get(call)
        return row.state if row else None

    def set_state(self, call: str, state: CallState) -> None:
        """Replace the state of a call."""
        self.states[call] = state
        if self._by_number is not None and (number := customer_number(state)) is not None:
            self._by_number[number].add(call)

    def aliases_of(self, call: str) -> list[str]:
        """Return the ids of a call. Of a deleted call all ids still count: an id that another call stated
        must not continue it.
        """
        state = self.state(call)
        if state is not None:
            return state.aliases
        tombstone = self.snapshot.tombstones.get(call)
        return tombstone.aliases if tombstone else []

    def merge(self, loser: str, survivor: str, state: CallState) -> None:
        """Let `survivor` have this state and all aliases of `loser`."""
        self.set_state(survivor, state)
        self.states.pop(loser, None)
        self.merged[loser] = survivor
        self.owners |= {alias: survivor for alias, owner in self.owners.items() if owner == loser}

    def survivor_of(self, call: str) -> str:
        """Return the call that a call is part of: itself if it was not merged."""
        while call in self.merged:
            call = self.merged[call]
        return call

    def with_number(self, number: str | None) -> dict[str, CallState]:
        """Return the calls of the snapshot and the batch with this customer number, by id."""
        if number is None:
            return {}
        if self._by_number is None:
            self._by_number = self._index_numbers()
        found = self._by_number.get(number, ())
        states = {call: self.state(call) for call in found if call not in self.merged}
        return {
            call: state
            for call, state in states.items()
            if state is not None and customer_number(state) == number
        }

    def _index_numbers(self) -> defaultdict[str, set[str]]:
        """Few batches need the index."""
        index = defaultdict[str, set[str]](set)
        for call, row in self.snapshot.calls.items():
            if row.number is not None:
                index[row.number].add(call)
        for call, state in self.states.items():
            if (number := customer_number(state)) is not None:
                index[number].add(call)
        return index
