"""Where a search of calls finds its candidates: keys of calls, the newest first.

The candidates of a source are read in the order of an index, window by window, or, if there are few, all at
once. The database applies the other conditions of the search to them in the same statement.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
)

from relay.call import Status
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.search_terms import Alternatives
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import call_keys, call_terms, calls, deliveries

FEW: Final = 20_000
"""So many candidates are read at once and sorted."""

MOST_COUNTED: Final = 30_000
"""Candidates are counted up to this number, to compare two sources."""

_MAX_WORDS: Final = 32
"""If a beginning has more different terms than this, they are not read in order."""

_LEAST_CHARACTER: Final = "\1"
_LAST_CHARACTER: Final = "\U0010ffff"


class CallKey(NamedTuple):
    """The place of a call in the order of searches: when it began, then its id."""

    began_at: Instant
    id: str


class Range(NamedTuple):
    """The calls whose key is `first` or newer, and older than `before`."""

    first: CallKey
    before: CallKey

    @property
    def parameters(self) -> dict[str, Any]:
        names = ("first_at", "first_id", "before_at", "before_id")
        return dict(zip(names, (*self.first, *self.before), strict=True))


Kinds = Sequence[tuple[Status, str]]
"""Pairs of status and direction."""


class Source(msgspec.Struct, frozen=True):
    """Candidates in the order of an index. `streams`: parameters, one set for each ordered part of it.

    `began_at` and `id`: the columns of the key, which the conditions of a search refer to.
    """

    began_at: ColumnElement[Any]
    id: ColumnElement[Any]
    candidates: Select[Any]
    nth: Executable
    streams: tuple[dict[str, Any], ...] = ({},)

    def find_first(self, connection: Connection, within: Range, size: int) -> CallKey | None:
        """Return where a window of at most `size` candidates of each stream begins; None: it has all."""
        values = within.parameters | {"place": size - 1}
        firsts = [connection.execute(self.nth, values | stream).first() for stream in self.streams]
        return max((CallKey(*first) for first in firsts if first is not None), default=None)

    def read(
        self, connection: Connection, matches: Sequence[ColumnElement[bool]], within: Range, limit: int
    ) -> list[CallKey]:
        """Return the newest candidates of the range that match, up to `limit`."""
        statement = self.candidates.where(*matches).limit(bindparam("limit"))
        values = within.parameters | {"limit": limit}
        return _newest(
            (row for stream in self.streams for row in connection.execute(statement, values | stream)), limit
        )


def _in_range(began_at: ColumnElement[Any], id_: ColumnElement[Any]) -> ColumnElement[bool]:
    first, before = (
        tuple_(bindparam(f"{name}_at", type_=began_at.type), bindparam(f"{name}_id", type_=id_.type))
        for name in ("first", "before")
    )
    key = tuple_(began_at, id_)
    return and_(began_at >= bindparam("first_at"), key >= first, key < before)


def _source(
    began_at: ColumnElement[Any], id_: ColumnElement[Any], *conditions: ColumnElement[bool]
) -> Source:
    candidates = (
        select(began_at, id_)
        .where(*conditions, _in_range(began_at, id_))
        .order_by(began_at.desc(), id_.desc())
    )
    return Source(began_at, id_, candidates, candidates.limit(1).offset(bindparam("place")))


_is_not_merged = calls.c.merged_into.is_(None)
_has_kind = and_(calls.c.status == bindparam("status"), calls.c.direction == bindparam("direction"))
_begins = and_(call_terms.c.term >= bindparam("beginning"), call_terms.c.term < bindparam("last"))
_has_destination = deliveries.c.destination == bindparam("destination")

ALL: Final = _source(calls.c.began_at, calls.c.id, _is_not_merged)
WITH_TERMS: Final = _source(call_keys.c.began_at, call_keys.c.call)
"""All calls that have terms: a call that was merged into another one has none."""

_of_kind = _source(calls.c.began_at, calls.c.id, _has_kind, _is_not_merged)
_with_term = _source(call_terms.c.began_at, call_terms.c.call, call_terms.c.term == bindparam("term"))
_first_term = select(func.min(call_terms.c.term)).where(_begins)


def of_kinds(kinds: Kinds) -> Source:
    """Return the calls of these kinds."""
    streams = tuple({"status": status, "direction": direction} for status, direction in kinds)
    return msgspec.structs.replace(_of_kind, streams=streams)


def with_terms(terms: Iterable[str]) -> Source:
    """Return the calls that have one of these whole terms."""
    return msgspec.structs.replace(_with_term, streams=tuple({"term": term} for term in terms))


def list_terms(connection: Connection, beginnings: Alternatives) -> list[str] | None:
    """Return the different terms with these beginnings; None if there are too many to be read in order."""
    found: list[str] = []
    for span in map(_span, beginnings):
        while (term := connection.execute(_first_term, span).scalar()) is not None:
            found.append(term)
            if len(found) > _MAX_WORDS:
                return None
            span["beginning"] = term + _LEAST_CHARACTER
    return found


# --- few candidates -------------------------------------------------------------------------------


def _deliveries_in(state: DeliveryState) -> ColumnElement[bool]:
    return and_(has_state(deliveries.c.state, state), _has_destination)


SCARCE_STATES: Final = frozenset(set(DeliveryState) - {DeliveryState.DELIVERED})
"""An index has the deliveries in these states; all others are delivered."""

_with_beginning = select(call_terms.c.began_at, call_terms.c.call).where(
    _begins, _in_range(call_terms.c.began_at, call_terms.c.call)
)
_in_state = {
    state: select(calls.c.began_at, calls.c.id)
    .select_from(deliveries.join(calls, calls.c.id == deliveries.c.call))
    .where(_deliveries_in(state), _is_not_merged, _in_range(calls.c.began_at, calls.c.id))
    for state in SCARCE_STATES
}


def gather_terms(
    connection: Connection,
    beginnings: Alternatives,
    matches: Sequence[ColumnElement[bool]],
    within: Range,
    limit: int,
) -> list[CallKey]:
    """Return the newest calls that have a term with one of these beginnings and match, up to `limit`."""
    statement = _sorted(_with_beginning.where(*matches), call_terms.c.began_at, call_terms.c.call)
    values = within.parameters | {"limit": limit}
    return _newest(
        (row for b in beginnings for row in connection.execute(statement, values | _span(b))), limit
    )


def gather_in_states(
    connection: Connection,
    states: Iterable[DeliveryState],
    destinations: Sequence[str],
    matches: Sequence[ColumnElement[bool]],
    within: Range,
    limit: int,
) -> list[CallKey]:
    """Return the newest calls with a delivery in one of these states that match, up to `limit`."""
    values = within.parameters | {"limit": limit}
    rows = (
        connection.execute(statement, values | {"destination": name})
        for state in states
        for statement in [_sorted(_in_state[state].where(*matches), calls.c.began_at, calls.c.id)]
        for name in destinations
    )
    return _newest(chain.from_iterable(rows), limit)


def _sorted(statement: Select[Any], began_at: ColumnElement[Any], id_: ColumnElement[Any]) -> Select[Any]:
    return statement.distinct().order_by(began_at.desc(), id_.desc()).limit(bindparam("limit"))


def _newest(rows: Iterable[Sequence[Any]], limit: int) -> list[CallKey]:
    return sorted({CallKey(*row) for row in rows}, reverse=True)[:limit]


def _span(beginning: str) -> dict[str, str]:
    return {"beginning": beginning, "last": beginning + _LAST_CHARACTER}


# --- how many -------------------------------------------------------------------------------------


def _capped(condition: ColumnElement[bool]) -> Select[Any]:
    """Count the rows, up to `MOST_COUNTED`."""
    rows: Select[Any] = select(literal_column("1")).where(condition).limit(MOST_COUNTED)
    return select(func.count()).select_from(rows.subquery())


_count_of_kind = _capped(and_(_has_kind, _is_not_merged, _in_range(calls.c.began_at, calls.c.id)))
_count_terms = _capped(_begins)
_count_in_state = {state: _capped(_deliveries_in(state)) for state in SCARCE_STATES}


def count_kinds(connection: Connection, kinds: Kinds, within: Range) -> int:
    """Count the calls of these kinds in the range, up to a limit; so do the functions below."""
    return sum(
        connection.execute(_count_of_kind, within.parameters | stream).scalar_one()
        for stream in of_kinds(kinds).streams
    )


def count_terms(connection: Connection, beginnings: Alternatives) -> int:
    """Count the terms with these beginnings in all calls: in a range they would not be counted faster."""
    return sum(connection.execute(_count_terms, _span(b)).scalar_one() for b in beginnings)


def count_in_states(connection: Connection, states: Iterable[DeliveryState], names: Sequence[str]) -> int:
    """Count the deliveries to these destinations in these states, which must be scarce, in all calls."""
    counts = ((_count_in_state[state], {"destination": name}) for state in states for name in names)
    return sum(connection.execute(*count).scalar_one() for count in counts)
