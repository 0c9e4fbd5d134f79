"""Searching calls: the newest first, page by page, among a million and in a bounded time.

A search reads candidates, newest first, and looks at each of them until a page is full. The candidates are
the calls that satisfy one of the conditions, the one that the fewest calls satisfy. If few satisfy it, all of
them are read and sorted. Otherwise they are read in the order of an index, and the search stops after
`MAX_EXAMINED`: the page is then not full and says where to go on.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, or_, select

from relay.call import Status
from relay.instants import Instant
from relay.ledger import call_candidates as candidates
from relay.ledger import destinations
from relay.ledger.call_candidates import FEW, SCARCE_STATES, CallKey, Kinds, Range
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.search_terms import Alternatives, in_text
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import calls, deliveries

MAX_EXAMINED: Final = 2_000
"""A page is found among at most so many candidates."""

DIRECTIONS: Final = ("inbound", "outbound", "internal", "")
"""As the column has them; empty if it is unknown."""

_FIRST_PORTION: Final = 128
_LARGEST_PORTION: Final = 4_096
_BEGINNING: Final = Instant(-(2**62))
_END: Final = CallKey(Instant(2**62), "")


class Criteria(msgspec.Struct, frozen=True, kw_only=True):
    """What a call must satisfy to be found. An empty collection is no condition.

    `since`: it began then or later; `until`: it began before. `terms`: for each entry it has a term with one
    of these beginnings. `delivery`: it has a delivery in one of these states, to `destination` if one is
    given. `destination` alone: it has a delivery to it, in any state.
    """

    since: Instant | None = None
    until: Instant | None = None
    statuses: frozenset[Status] = frozenset()
    directions: frozenset[str] = frozenset()
    terms: tuple[Alternatives, ...] = ()
    delivery: frozenset[DeliveryState] = frozenset()
    destination: str | None = None


class KeyPage(msgspec.Struct, frozen=True):
    """The keys of the calls that were found, newest first.

    `next`: where the next page begins; None if there is no other call. The page may be empty and have a next
    one, see `MAX_EXAMINED`.
    """

    keys: list[CallKey]
    next: CallKey | None


def search(connection: Connection, criteria: Criteria, *, before: CallKey | None, limit: int) -> KeyPage:
    """Find up to `limit` calls whose keys are less than `before`."""
    end = _END if criteria.until is None else CallKey(criteria.until, "")
    start = _BEGINNING if criteria.since is None else criteria.since
    within = Range(start, end if before is None else min(before, end))
    source = _choose_source(connection, criteria, within)
    matches = _matching(criteria)
    found: list[CallKey] = []
    examined, size = 0, max(_FIRST_PORTION, limit + 1)
    while portion := list(islice(source, size)):
        found += _filter(connection, matches, portion)
        examined += len(portion)
        if len(found) > limit:
            return KeyPage(found[:limit], found[limit - 1])
        if examined >= MAX_EXAMINED:
            return KeyPage(found, portion[-1])
        size = min(size * 2, _LARGEST_PORTION, MAX_EXAMINED - examined)
    return KeyPage(found, None)


# --- the candidates -----------------------------------------------------------------------------


def _choose_source(connection: Connection, criteria: Criteria, within: Range) -> Iterator[CallKey]:
    """Return the keys of the calls that satisfy the most selective condition, newest first."""
    kinds = _kinds_of(criteria)
    in_order = (
        candidates.read_kinds(connection, kinds, within) if kinds else candidates.read_all(connection, within)
    )
    scarce = bool(criteria.delivery) and criteria.delivery <= SCARCE_STATES
    if not (criteria.terms or scarce):
        return in_order
    fewest = candidates.count_all(connection, within)
    if fewest > FEW and kinds:
        fewest = candidates.count_kinds(connection, kinds, within)
    counts = [(candidates.count_terms(connection, terms), terms) for terms in criteria.terms]
    names = _destinations(connection, criteria) if scarce else []
    in_states = candidates.count_in_states(connection, criteria.delivery, names) if scarce else FEW + 1
    if in_states <= min([FEW, fewest, *(count for count, _ in counts)]):
        return iter(candidates.gather_in_states(connection, criteria.delivery, names, within))
    least, terms = min(counts, default=(FEW + 1, ()))
    if least <= min(FEW, fewest):
        return iter(candidates.gather_terms(connection, terms, within))
    if fewest <= FEW:
        return in_order
    return _read_whole_terms(connection, criteria, within) or in_order


def _read_whole_terms(connection: Connection, criteria: Criteria, within: Range) -> Iterator[CallKey] | None:
    for beginnings in criteria.terms:
        if (terms := candidates.list_terms(connection, beginnings)) is not None:
            return candidates.read_terms(connection, terms, within)
    return None


def _kinds_of(criteria: Criteria) -> Kinds:
    """Return the pairs of status and direction that are wanted; none if all are."""
    if not (criteria.statuses or criteria.directions):
        return []
    return [
        (status, direction)
        for status in sorted(criteria.statuses or Status)
        for direction in sorted(criteria.directions or DIRECTIONS)
    ]


def _destinations(connection: Connection, criteria: Criteria) -> Sequence[str]:
    if criteria.destination is not None:
        return [criteria.destination]
    return [row.name for row in destinations.list_all(connection)]


# --- the conditions -----------------------------------------------------------------------------

_ids = rows_of(calls.c.id)


def _matching(criteria: Criteria) -> Select[Any]:
    """Return the statement that selects the ids of the calls that satisfy everything but the range."""
    conditions: list[ColumnElement[bool]] = [calls.c.merged_into.is_(None)]
    if criteria.statuses:
        conditions.append(has_state(calls.c.status, *sorted(criteria.statuses)))
    if criteria.directions:
        conditions.append(or_(*(calls.c.direction == name for name in sorted(criteria.directions))))
    conditions += [or_(*_in_terms(beginnings)) for beginnings in criteria.terms]
    if criteria.delivery or criteria.destination is not None:
        conditions.append(_has_delivery(criteria))
    return select(calls.c.id).join(_ids, _ids.c.id == calls.c.id).where(*conditions)


def _in_terms(beginnings: Alternatives) -> list[ColumnElement[bool]]:
    return [calls.c.terms.contains(in_text(beginning), autoescape=True) for beginning in beginnings]


def _has_delivery(criteria: Criteria) -> ColumnElement[bool]:
    statement = select(deliveries.c.call).where(deliveries.c.call == calls.c.id)
    if criteria.destination is not None:
        statement = statement.where(deliveries.c.destination == criteria.destination)
    if criteria.delivery:
        statement = statement.where(has_state(deliveries.c.state, *sorted(criteria.delivery)))
    return statement.exists()


def _filter(connection: Connection, matches: Select[Any], keys: Sequence[CallKey]) -> Iterable[CallKey]:
    ids = set(connection.execute(matches, bound((key.id,) for key in keys)).scalars())
    return [key for key in keys if key.id in ids]
