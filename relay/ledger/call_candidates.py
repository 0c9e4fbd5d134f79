"""Where a search of calls finds its candidates: keys of calls, the newest first.

A source is either *ordered*, that is, read from an index whose order is that of the search, as far as needed;
or *gathered*, that is, read wholly and sorted.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, select, tuple_

from relay.call import Status
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.search_terms import Alternatives
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import call_terms, calls, deliveries

FEW: Final = 10_000
"""So many candidates are gathered and sorted."""

_MAX_WORDS: Final = 64
"""If a beginning has more different terms than this, they are not read in order."""

_FIRST_ROWS: Final = 64
_MOST_ROWS: Final = 2_048
_LEAST_CHARACTER: Final = "\1"
_LAST_CHARACTER: Final = "\U0010ffff"


class CallKey(NamedTuple):
    """The place of a call in the order of searches: when it began, then its id."""

    began_at: Instant
    id: str


class Range(NamedTuple):
    """The calls that began at `since` or later, and whose key is less than `before`."""

    since: Instant
    before: CallKey

    @property
    def parameters(self) -> dict[str, Any]:
        return {"since": self.since, "before_at": self.before.began_at, "before_id": self.before.id}


Kinds = Sequence[tuple[Status, str]]
"""Pairs of status and direction."""


def _in_range(began_at: ColumnElement[Any], id_: ColumnElement[Any]) -> ColumnElement[bool]:
    before = tuple_(bindparam("before_at", type_=began_at.type), bindparam("before_id", type_=id_.type))
    return and_(began_at >= bindparam("since"), tuple_(began_at, id_) < before)


_is_not_merged = calls.c.merged_into.is_(None)
_calls_in_range = and_(_is_not_merged, _in_range(calls.c.began_at, calls.c.id))
_has_kind = and_(calls.c.status == bindparam("status"), calls.c.direction == bindparam("direction"))
_terms_in_range = _in_range(call_terms.c.began_at, call_terms.c.call)
_begins = and_(call_terms.c.term >= bindparam("first"), call_terms.c.term < bindparam("last"))


def _capped(condition: ColumnElement[bool]) -> Select[Any]:
    """Count the rows, up to `FEW` + 1."""
    rows: Select[Any] = select(literal_column("1")).where(condition).limit(FEW + 1)
    return select(func.count()).select_from(rows.subquery())


def _newest_first(
    statement: Select[Any], began_at: ColumnElement[Any], id_: ColumnElement[Any]
) -> Select[Any]:
    return statement.order_by(began_at.desc(), id_.desc())


_call_keys = _newest_first(select(calls.c.began_at, calls.c.id), calls.c.began_at, calls.c.id)
_term_keys = _newest_first(
    select(call_terms.c.began_at, call_terms.c.call).where(_terms_in_range),
    call_terms.c.began_at,
    call_terms.c.call,
)
_all_calls = _call_keys.where(_calls_in_range).limit(bindparam("limit"))
_calls_of_kind = _call_keys.where(_has_kind, _calls_in_range).limit(bindparam("limit"))
_calls_with_term = _term_keys.where(call_terms.c.term == bindparam("term")).limit(bindparam("limit"))
_calls_with_beginning = _term_keys.where(_begins)
_first_term = select(func.min(call_terms.c.term)).where(_begins)
_count_calls = _capped(_calls_in_range)
_count_of_kind = _capped(and_(_has_kind, _calls_in_range))
_count_terms = _capped(_begins)
_has_destination = deliveries.c.destination == bindparam("destination")


def _deliveries_in(state: DeliveryState) -> ColumnElement[bool]:
    return and_(has_state(deliveries.c.state, state), _has_destination)


SCARCE_STATES: Final = frozenset(set(DeliveryState) - {DeliveryState.DELIVERED})
"""An index has the deliveries in these states; all others are delivered."""

_count_in_state = {state: _capped(_deliveries_in(state)) for state in SCARCE_STATES}
_calls_in_state = {
    state: select(calls.c.began_at, calls.c.id)
    .select_from(deliveries.join(calls, calls.c.id == deliveries.c.call))
    .where(_deliveries_in(state), _calls_in_range)
    for state in SCARCE_STATES
}


# --- how many -----------------------------------------------------------------------------------


def count_all(connection: Connection, within: Range) -> int:
    """Count the calls of the range, up to `FEW` + 1; so do the functions below."""
    return int(connection.execute(_count_calls, within.parameters).scalar_one())


def count_kinds(connection: Connection, kinds: Kinds, within: Range) -> int:
    return sum(
        connection.execute(_count_of_kind, within.parameters | _of_kind(kind)).scalar_one() for kind in kinds
    )


def count_terms(connection: Connection, beginnings: Alternatives) -> int:
    """Count the terms with these beginnings in all calls: those of the range would not be counted faster."""
    return sum(connection.execute(_count_terms, _span(b)).scalar_one() for b in beginnings)


def count_in_states(
    connection: Connection, states: Iterable[DeliveryState], destinations: Sequence[str]
) -> int:
    """Count the deliveries in these states, which must be scarce, in the whole ledger."""
    return sum(
        connection.execute(_count_in_state[state], {"destination": name}).scalar_one()
        for state in states
        for name in destinations
    )


# --- which --------------------------------------------------------------------------------------


def read_all(connection: Connection, within: Range) -> Iterator[CallKey]:
    """Yield the keys of all calls of the range, ordered."""
    return _stream(connection, _all_calls, within, {})


def read_kinds(connection: Connection, kinds: Kinds, within: Range) -> Iterator[CallKey]:
    """Yield the keys of the calls of these kinds, ordered."""
    streams = (_stream(connection, _calls_of_kind, within, _of_kind(kind)) for kind in kinds)
    return heapq.merge(*streams, reverse=True)


def read_terms(connection: Connection, terms: Iterable[str], within: Range) -> Iterator[CallKey]:
    """Yield the keys of the calls that have one of these whole terms, ordered."""
    streams = (_stream(connection, _calls_with_term, within, {"term": term}) for term in terms)
    return (key for key, _ in groupby(heapq.merge(*streams, reverse=True)))


def list_terms(connection: Connection, beginnings: Alternatives) -> list[str] | None:
    """Return the different terms with these beginnings; None if there are too many to be read in order."""
    found: list[str] = []
    for beginning in beginnings:
        span = _span(beginning)
        while (term := connection.execute(_first_term, span).scalar()) is not None:
            found.append(term)
            if len(found) > _MAX_WORDS:
                return None
            span["first"] = term + _LEAST_CHARACTER
    return found


def gather_terms(connection: Connection, beginnings: Alternatives, within: Range) -> list[CallKey]:
    """Return the keys of the calls that have a term with one of these beginnings, sorted."""
    return _sorted(
        key
        for beginning in beginnings
        for key in connection.execute(_calls_with_beginning, within.parameters | _span(beginning))
    )


def gather_in_states(
    connection: Connection, states: Iterable[DeliveryState], destinations: Sequence[str], within: Range
) -> list[CallKey]:
    """Return the keys of the calls with a delivery in one of these states, sorted."""
    return _sorted(
        key
        for state in states
        for name in destinations
        for key in connection.execute(_calls_in_state[state], within.parameters | {"destination": name})
    )


def _sorted(rows: Iterable[Sequence[Any]]) -> list[CallKey]:
    return sorted({CallKey(*row) for row in rows}, reverse=True)


def _stream(
    connection: Connection, statement: Select[Any], within: Range, parameters: dict[str, Any]
) -> Iterator[CallKey]:
    size = _FIRST_ROWS
    while True:
        values = within.parameters | parameters | {"limit": size}
        keys = [CallKey(*row) for row in connection.execute(statement, values)]
        yield from keys
        if len(keys) < size:
            return
        within = within._replace(before=keys[-1])
        size = min(size * 4, _MOST_ROWS)


def _of_kind(kind: tuple[Status, str]) -> dict[str, str]:
    status, direction = kind
    return {"status": status, "direction": direction}


def _span(beginning: str) -> dict[str, str]:
    return {"first": beginning, "last": beginning + _LAST_CHARACTER}
