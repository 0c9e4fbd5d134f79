"""Which rows of the history cannot be assigned to a call by what they state. Pure.

The fold sees one row at a time, and only what is in the ledger. So where several calls fit a row, or several
rows fit a call, it would take the first one. The importer, which has a page of rows, finds these here and
asks CloudTalk for the call_uuid; of the other rows it states by which number webhooks name the call.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from relay.call import OUTCOME_KINDS, CallEvent, CallState, is_from_history, is_only_from_history
from relay.fold.links import (
    Stated,
    arrived_during,
    fits,
    has_call_id,
    is_certain,
    named_calls,
)
from relay.fold.match_event import find_legs, find_others
from relay.fold.matching import customer_number
from relay.fold.planned_calls import PlannedCalls
from relay.fold.snapshot import Snapshot
from relay.instants import SECOND, Duration
from relay.ledger.journal import UnfoldedEvent

NEAR: Final = Duration(2 * 120 * SECOND)
"""How far apart the starts of two rows may be that fit the same call: each is up to two minutes from it."""

_LAG: Final = Duration(600 * SECOND)
"""How long after the end of a call its row may be missing from the history. It usually lags by a minute."""


class Doubts(NamedTuple):
    """Rows by their sequence numbers.

    `to_ask`: only their call_uuid says which call they are. `names`: the number by which webhooks name the
    call of this row, although it is no call_id: the history has no row with this number.
    """

    to_ask: set[int]
    names: dict[int, str]


class _Fits(NamedTuple):
    """The calls that fit a row: `by_number` by number and time; `misnamed` would, but for their call_id."""

    by_number: list[str]
    misnamed: list[str]


def find_doubts(
    rows: Sequence[UnfoldedEvent], snapshot: Snapshot, *, edges: frozenset[int] = frozenset()
) -> Doubts:
    """Find the rows that may be calls which no id links them to, if the fold will not link them itself.

    `snapshot`: as read for these rows with `looks_around`. `edges`: those of the rows around which other rows
    may exist that are not known yet. A row that names another one of these rows is linked by that.
    """
    finder = _DoubtFinder(rows, PlannedCalls(snapshot))
    to_ask, names = set[int](), dict[int, str]()
    for row in rows:
        if finder.must_ask(row, is_edge=row.seq in edges):
            to_ask.add(row.seq)
        elif (name := finder.find_name(row)) is not None:
            names[row.seq] = name
    return Doubts(to_ask, names)


class _DoubtFinder:
    def __init__(self, rows: Sequence[UnfoldedEvent], calls: PlannedCalls) -> None:
        self._calls = calls
        self._ids = {str(row.parsed.fact("call_id")) for row in rows}
        self._fits: Mapping[int, _Fits] = {row.seq: self._find(row) for row in rows if self._is_open(row)}
        self._claims = Counter(
            call for found in self._fits.values() for call in (*found.by_number, *found.misnamed)
        )

    def must_ask(self, row: UnfoldedEvent, *, is_edge: bool) -> bool:
        """Whether only the call_uuid says which call the row is."""
        found = self._fits.get(row.seq)
        if found is None or self._has_uuid(row):
            return False
        if found.by_number:
            return is_edge or self._is_known(row) or self._is_doubtful(row, found.by_number)
        if len(found.misnamed) == 1 and self._state(found.misnamed[0]).fact("call_uuid") is not None:
            return True
        return self._may_be_without_times(row)

    def find_name(self, row: UnfoldedEvent) -> str | None:
        """Return the number by which webhooks name the row's call; None if there is no such call."""
        found = self._fits.get(row.seq)
        if found is None or found.by_number or len(found.misnamed) != 1:
            return None
        (call,) = found.misnamed
        ids = [alias[3:] for alias in self._state(call).aliases if alias.startswith("id:")]
        is_certain = self._claims[call] == 1 and len(ids) == 1 and self._is_settled(row, self._state(call))
        return ids[0] if is_certain and self._state(call).fact("call_uuid") is None else None

    # --- what fits --------------------------------------------------------------------------------

    def _is_open(self, row: UnfoldedEvent) -> bool:
        """Whether number and time may link the row to another call than the one that has its ids."""
        own = self._own(row)
        if row.parsed.fact("alone") or not self._ids.isdisjoint(named_calls(row.parsed)):
            return False
        if own is None:
            is_deleted = any(alias in self._calls.owners for alias in row.parsed.aliases)
            return not is_deleted and not find_legs(row, None, self._calls)
        return own.fact("call_uuid") is None and not own.fact("alone")

    def _is_known(self, row: UnfoldedEvent) -> bool:
        """Whether the history stated the row's call before: then the fold does not look again."""
        own = self._own(row)
        return own is not None and is_from_history(own)

    def _find(self, row: UnfoldedEvent) -> _Fits:
        event, own = row.parsed, self._own_id(row)
        by_number = find_others(event, own, self._calls)
        state = self._own(row)
        if state is not None and not is_only_from_history(state):
            return _Fits(by_number, [])  # a webhook stated the call_id
        stated = Stated(event, state)
        misnamed = [
            call
            for call, other in self._with_number(event)
            if call != own and self._is_misnamed(other) and fits(stated, (), other)
        ]
        return _Fits(by_number, misnamed)

    def _with_number(self, event: CallEvent) -> Iterator[tuple[str, CallState]]:
        pinned = self._calls.snapshot.pinned
        for call, state in self._calls.with_number(customer_number(event)).items():
            if pinned.isdisjoint(state.aliases):
                yield call, state

    def _is_misnamed(self, state: CallState) -> bool:
        """Whether a call has a number for its call_id that none of the rows has."""
        return (
            not is_from_history(state)
            and not state.fact("alone")
            and has_call_id(state.aliases)
            and self._ids.isdisjoint(alias[3:] for alias in state.aliases if alias.startswith("id:"))
        )

    # --- what is certain --------------------------------------------------------------------------

    def _is_doubtful(self, row: UnfoldedEvent, found: list[str]) -> bool:
        return (
            len(found) > 1 or self._claims[found[0]] > 1 or not self._is_settled(row, self._state(found[0]))
        )

    def _is_settled(self, row: UnfoldedEvent, state: CallState) -> bool:
        """Whether the call cannot be another one, whose row is not in the history yet."""
        is_over = not OUTCOME_KINDS.isdisjoint(state.seen)
        return is_certain(row.parsed, state, row.received_at) or (
            is_over and max(state.seen.values()) <= row.received_at - _LAG
        )

    def _may_be_without_times(self, row: UnfoldedEvent) -> bool:
        """Whether a webhook of the customer without a time arrived about the time of the row."""
        return any(arrived_during(row.parsed, state) for _, state in self._with_number(row.parsed))

    def _has_uuid(self, row: UnfoldedEvent) -> bool:
        own = self._own(row)
        return row.parsed.fact("call_uuid") is not None or (
            own is not None and own.fact("call_uuid") is not None
        )

    def _state(self, call: str) -> CallState:
        state = self._calls.state(call)
        assert state is not None  # noqa: S101 - it was found by its state
        return state

    def _own_id(self, row: UnfoldedEvent) -> str | None:
        owners = (self._calls.owners.get(alias) for alias in row.parsed.aliases)
        return next((call for call in owners if call is not None), None)

    def _own(self, row: UnfoldedEvent) -> CallState | None:
        own = self._own_id(row)
        return None if own is None else self._calls.state(own)
