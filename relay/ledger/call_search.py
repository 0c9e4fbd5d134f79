"""Searching calls: the newest first, page by page, among a million and in a bounded time.

A search reads candidates, newest first, and the database looks at each of them until a page is full. The
candidates are the calls that satisfy one of the conditions, the one that the fewest calls satisfy. If few
satisfy it, one statement reads and sorts all of them. Otherwise they are read in the order of an index,
window by window, and the search stops after a limited time: the page is then not full and says where to go
on.

No condition reads a row of `calls`: these rows are large, and a disk reads them one by one.
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, literal, literal_column, or_, select

from relay.call import Status
from relay.instants import Instant
from relay.ledger import call_candidates as candidates
from relay.ledger import destinations
from relay.ledger.call_candidates import FEW, SCARCE_STATES, CallKey, Kinds, Range, Source
from relay.ledger.connection import Connection
from relay.ledger.json_rows import ContainsText
from relay.ledger.search_terms import Alternatives, in_text
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import call_keys, call_terms, calls, deliveries

SECONDS: Final = 0.06
"""The time of a search for a page. The first window is read even if its disk is slower."""

_COST_OF_KIND: Final = 4
"""To look at the kind of a call costs so many times as much as to look at its terms."""

_FIRST_WINDOW: Final = 2_000
_SMALLEST_WINDOW: Final = 64
_SHORTEST: Final = 0.000_1
_BEGINNING: Final = CallKey(Instant(-(2**62)), "")
_END: Final = CallKey(Instant(2**62), "")

DIRECTIONS: Final = ("inbound", "outbound", "internal", "")
"""As the column has them; empty if it is unknown."""


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
    one: the search took too long.
    """

    keys: list[CallKey]
    next: CallKey | None


def search(
    connection: Connection,
    criteria: Criteria,
    *,
    before: CallKey | None,
    limit: int,
    seconds: float = SECONDS,
) -> KeyPage:
    """Find up to `limit` calls whose keys are less than `before`.

    After this time the search ends, and the page says where to go on.
    """
    give_up_at = monotonic() + seconds
    end = _END if criteria.until is None else CallKey(criteria.until, "")
    start = _BEGINNING if criteria.since is None else CallKey(criteria.since, "")
    within = Range(start, end if before is None else min(before, end))
    counts = sorted((candidates.count_terms(connection, terms), terms) for terms in criteria.terms)
    found = _gather(connection, criteria, counts, within, limit + 1)
    if found is None:
        source = _choose_source(connection, criteria, counts, within)
        return _read_windows(connection, criteria, source, within, limit, give_up_at)
    return KeyPage(found[:limit], found[limit - 1] if len(found) > limit else None)


# --- the candidates -----------------------------------------------------------------------------

_TermCounts = Sequence[tuple[int, Alternatives]]
"""How many terms have these beginnings; the least first."""


def _gather(
    connection: Connection, criteria: Criteria, counts: _TermCounts, within: Range, limit: int
) -> list[CallKey] | None:
    """Read all calls that satisfy the most selective condition at once; None if they are too many."""
    fewest, terms = counts[0] if counts else (FEW + 1, ())
    if criteria.delivery and criteria.delivery <= SCARCE_STATES:
        names = _destinations(connection, criteria)
        if candidates.count_in_states(connection, criteria.delivery, names) <= min(FEW, fewest):
            matches = _matches(criteria, calls.c.began_at, calls.c.id)
            return candidates.gather_in_states(connection, criteria.delivery, names, matches, within, limit)
    if fewest > FEW:
        return None
    matches = _matches(criteria, call_terms.c.began_at, call_terms.c.call, without=terms)
    return candidates.gather_terms(connection, terms, matches, within, limit)


def _choose_source(connection: Connection, criteria: Criteria, counts: _TermCounts, within: Range) -> Source:
    """Return the most selective condition whose calls an index has in the order of a search."""
    kinds = _kinds_of(criteria)
    number_of_kinds = candidates.count_kinds(connection, kinds, within) if kinds and counts else 0
    for number, beginnings in counts:
        if kinds and number_of_kinds <= _COST_OF_KIND * number:
            break
        if (terms := candidates.list_terms(connection, beginnings)) is not None:
            return candidates.with_terms(terms)
    if kinds:
        return candidates.of_kinds(kinds)
    return candidates.WITH_TERMS if counts else candidates.ALL


def _read_windows(
    connection: Connection,
    criteria: Criteria,
    source: Source,
    within: Range,
    limit: int,
    give_up_at: float,
) -> KeyPage:
    """Read window after window of the candidates until a page is full, or the time is over.

    A window has as many candidates as can be examined in the time that is left, at the speed until then.
    """
    matches = _matches(criteria, source.began_at, source.id)
    found: list[CallKey] = []
    examined, size, begun_at = 0, _FIRST_WINDOW, monotonic()
    while True:
        first = source.find_first(connection, within, max(size // len(source.streams), _SMALLEST_WINDOW))
        window = within if first is None else within._replace(first=first)
        found += source.read(connection, matches, window, limit + 1 - len(found))
        if len(found) > limit:
            return KeyPage(found[:limit], found[limit - 1])
        if first is None:
            return KeyPage(found, None)
        examined += size
        now = monotonic()
        size = min(2 * size, int(examined * (give_up_at - now) / max(now - begun_at, _SHORTEST)))
        if size <= 0:
            return KeyPage(found, first)
        within = within._replace(before=first)


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


def _matches(
    criteria: Criteria, began_at: ColumnElement[Any], id_: ColumnElement[Any], *, without: Alternatives = ()
) -> list[ColumnElement[bool]]:
    """Return the conditions, apart from the range, on a candidate with this key. `without`: known terms."""
    found = []
    terms = [beginnings for beginnings in criteria.terms if beginnings != without]
    if terms:
        found.append(_has_terms(terms, began_at, id_))
    if criteria.delivery or criteria.destination is not None:
        found.append(_has_delivery(criteria, id_))
    if criteria.statuses or criteria.directions:
        found.append(_has_kind(criteria, began_at, id_))
    return found


def _has_terms(
    terms: Sequence[Alternatives], began_at: ColumnElement[Any], id_: ColumnElement[Any]
) -> ColumnElement[bool]:
    if began_at is call_keys.c.began_at:
        return and_(*_in_text(call_keys.c.terms, terms))
    keys = call_keys.alias("keys")
    of_call = (keys.c.began_at == began_at, keys.c.call == id_)
    return _exists(select(keys.c.call).where(*of_call, *_in_text(keys.c.terms, terms)))


def _in_text(column: ColumnElement[Any], terms: Sequence[Alternatives]) -> list[ColumnElement[bool]]:
    return [
        or_(*(ContainsText(column, literal(in_text(beginning), Text)) for beginning in beginnings))
        for beginnings in terms
    ]


def _has_kind(
    criteria: Criteria, began_at: ColumnElement[Any], id_: ColumnElement[Any]
) -> ColumnElement[bool]:
    """The index `calls_status` alone answers: with the bare id, a database would read the row by its key."""
    kind = calls.alias("kind")
    statement = select(kind.c.began_at).where(
        kind.c.status.in_([literal(each, Text) for each in sorted(criteria.statuses or Status)]),
        kind.c.direction.in_([literal(each, Text) for each in sorted(criteria.directions or DIRECTIONS)]),
        kind.c.began_at == began_at,
        kind.c.id + literal_column("''") == id_,
        kind.c.merged_into.is_(None),
    )
    return _exists(statement)


def _has_delivery(criteria: Criteria, id_: ColumnElement[Any]) -> ColumnElement[bool]:
    of_call = deliveries.alias("of_call")
    statement = select(of_call.c.call).where(of_call.c.call == id_)
    if criteria.destination is not None:
        statement = statement.where(of_call.c.destination == criteria.destination)
    if criteria.delivery:
        statement = statement.where(has_state(of_call.c.state, *sorted(criteria.delivery)))
    return _exists(statement)


def _exists(statement: Select[Any]) -> ColumnElement[bool]:
    """Return whether it finds a row. With an offset PostgreSQL looks candidate by candidate; without one it
    would join, and may then read the whole of the other table first.
    """
    return statement.limit(1).offset(0).exists()
