"""Lists and searches of calls, page by page, the newest first.

Each function answers in a bounded time among a million calls, see `relay.ledger.call_search`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from relay.call import Call, Status
from relay.instants import Instant
from relay.ledger import Ledger, call_search, calls, deliveries
from relay.ledger.call_candidates import CallKey
from relay.ledger.call_search import Criteria
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.ledger.search_terms import (
    FEWEST_DIGITS,
    Alternatives,
    TermKind,
    is_number,
    name_beginnings,
    number_beginnings,
    text_beginnings,
)
from relay.ledger.states import DeliveryState
from relay.operations.calls import find_call

PAGE: Final = 50
"""The usual number of calls on a page."""

_LARGE_PAGE: Final = 500
"""Of a list that is read to its end."""

_LONG_SECONDS: Final = 1.0
"""For a page of such a list: it is not shown before the next one."""

_MAX_TRIES: Final = 3
"""Of such a page: it may have waited for the search of another person."""

MOST_COUNTED: Final = 1_000


class FilterError(ValueError):
    """A value of a filter that cannot be read. `field`: of `CallFilter`; the text says what is expected."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to list. An empty value is no condition; all conditions must be satisfied.

    `number`: the beginning or the end of the external or the internal number, in any spelling. `name` and
    `agent`: beginnings of words of the contact's name, and of the name, e-mail address or id of an agent.
    `text`: a number or words, of the contact or of an agent, for a search field that takes anything.
    `region`: of numbers without a country code. `since`: the call began then or later; `until`: it began
    before. `directions`: empty text is an unknown direction. `delivery` without `destination`: a delivery to
    any destination has one of the states.
    """

    region: str
    number: str = ""
    name: str = ""
    agent: str = ""
    text: str = ""
    since: Instant | None = None
    until: Instant | None = None
    statuses: frozenset[Status] = frozenset()
    directions: frozenset[str] = frozenset()
    destination: str | None = None
    delivery: frozenset[DeliveryState] = frozenset()


class ListedDelivery(msgspec.Struct, frozen=True):
    destination: str
    state: DeliveryState


class ListedCall(Call, frozen=True, kw_only=True):
    """The record of a call, and the states of its deliveries by destination."""

    deliveries: list[ListedDelivery]


class Page(msgspec.Struct, frozen=True):
    """Calls, newest first. `next`: the cursor of the next page; None if there is none.

    A page may have fewer calls than asked for, or none, and a next page all the same: the search took as long
    as it may, back to `searched_until`. Otherwise `searched_until` is None.
    """

    calls: list[ListedCall]
    next: str | None
    searched_until: Instant | None = None


class Count(msgspec.Struct, frozen=True):
    """At least this number of calls. `has_more`: the exact number was not counted."""

    number: int
    has_more: bool


def list_calls(
    connection: Connection,
    filter_: CallFilter,
    cursor: str | None = None,
    limit: int = PAGE,
    seconds: float = call_search.SECONDS,
) -> Page:
    """Return a page of the calls that the filter matches. `cursor`: `Page.next` of the page before.
    `seconds`: see `search`.

    A page begins below the last call of the page before, whichever calls arrive meanwhile. Raises
    `FilterError`.
    """
    before = None if cursor is None else parse_cursor(cursor)
    found = call_search.search(connection, _criteria(filter_), before=before, limit=limit, seconds=seconds)
    is_cut = found.next is not None and len(found.keys) < limit
    return Page(
        listed_calls(connection, [key.id for key in found.keys]),
        None if found.next is None else format_cursor(found.next),
        found.next.began_at if found.next is not None and is_cut else None,
    )


async def iterate_calls(
    ledger: Ledger, filter_: CallFilter, limit: int | None = None
) -> AsyncIterator[ListedCall]:
    """Yield the calls that the filter matches, newest first, up to `limit`. Each page is a transaction of its
    own, so that the ledger is never held for long. A page that takes too long is read again, up to twice.

    Raises `FilterError`, `LedgerTimeout`.
    """
    left, cursor = limit, None
    while left is None or left > 0:
        size = _LARGE_PAGE if left is None else min(left, _LARGE_PAGE)
        read = partial(list_calls, filter_=filter_, cursor=cursor, limit=size, seconds=_LONG_SECONDS)
        page = await _view_patiently(ledger, read)
        for call in page.calls:
            yield call
        left, cursor = None if left is None else left - len(page.calls), page.next
        if cursor is None:
            return


async def _view_patiently(ledger: Ledger, read: Callable[[Connection], Page]) -> Page:
    for _ in range(_MAX_TRIES - 1):
        with suppress(LedgerTimeout):
            return await ledger.view(read)
    return await ledger.view(read)


def count_calls(connection: Connection, filter_: CallFilter, at_most: int = MOST_COUNTED) -> Count:
    """Count the calls that the filter matches, up to `at_most`. Raises `FilterError`."""
    found = call_search.search(connection, _criteria(filter_), before=None, limit=at_most)
    return Count(len(found.keys), found.next is not None)


def find_listed(connection: Connection, id_: str) -> ListedCall | None:
    """Return the call with exactly this id, see `find_call`. A search field tries this first."""
    row = find_call(connection, id_.strip())
    return None if row is None else listed_calls(connection, [row.id])[0]


def find_by_number(connection: Connection, text: str, region: str, limit: int = PAGE) -> Page:
    """Return the newest calls with this number; none if the text is no number. See `CallFilter.number`."""
    if not is_number(text):
        return Page([], None)
    return list_calls(connection, CallFilter(region=region, number=text), limit=limit)


def listed_calls(connection: Connection, ids: list[str]) -> list[ListedCall]:
    """Return these calls, in this order."""
    records = calls.get_records(connection, ids)
    states = deliveries.states_of_calls(connection, ids)
    return [
        ListedCall(
            **{name: getattr(records[id_], name) for name in Call.__struct_fields__},
            deliveries=[ListedDelivery(name, state) for name, state in states.get(id_, ())],
        )
        for id_ in ids
    ]


# --- the filter ---------------------------------------------------------------------------------


def _criteria(filter_: CallFilter) -> Criteria:
    terms: list[Alternatives] = []
    if filter_.number:
        terms.append(_number(filter_.number, filter_.region))
    if filter_.name:
        terms += _words("name", name_beginnings(filter_.name, TermKind.CONTACT))
    if filter_.agent:
        terms += _words("agent", name_beginnings(filter_.agent, TermKind.AGENT))
    if filter_.text:
        terms += _words("text", text_beginnings(filter_.text, filter_.region))
    return Criteria(
        since=filter_.since,
        until=filter_.until,
        statuses=filter_.statuses,
        directions=filter_.directions,
        terms=tuple(dict.fromkeys(terms)),
        delivery=filter_.delivery,
        destination=filter_.destination,
    )


def _number(written: str, region: str) -> Alternatives:
    beginnings = number_beginnings(written, region)
    if not beginnings:
        raise FilterError(
            "number", f"a number is found by {FEWEST_DIGITS} digits or more, not by {written!r}"
        )
    return beginnings


def _words(field: str, words: list[Alternatives]) -> list[Alternatives]:
    if not words:
        raise FilterError(field, "a name is found by letters or digits: the text has none")
    return words


# --- the cursor ---------------------------------------------------------------------------------


def format_cursor(key: CallKey) -> str:
    return f"{key.began_at}.{key.id}"


def parse_cursor(cursor: str) -> CallKey:
    """Raises `FilterError`."""
    began_at, _, id_ = cursor.partition(".")
    try:
        return CallKey(Instant(int(began_at)), id_)
    except ValueError:
        raise FilterError("cursor", "this is no cursor of a page; open the first page again") from None
