"""Missed calls that nobody has called back."""

from typing import Final

import msgspec

from relay.instants import Instant, duration, iso
from relay.ledger import calls, unanswered
from relay.ledger.call_candidates import CallKey
from relay.ledger.connection import Connection
from relay.ledger.unanswered import UnansweredNumber
from relay.operations.call_list import PAGE, Page, format_cursor, listed_calls, parse_cursor

DAYS: Final = 7
MOST: Final = 1_000
"""So many of the newest missed calls are looked at."""

_SHOWN: Final = 8


class UnansweredCall(msgspec.Struct, frozen=True):
    """The last missed call of a customer with whom nobody has talked since. `calls`: how many were missed."""

    id: str
    number: str
    contact_name: str | None
    at: str | None
    calls: int


class UnansweredCalls(msgspec.Struct, frozen=True):
    """The newest of them; `customers` is the number of all in the last `DAYS` days."""

    newest: list[UnansweredCall]
    customers: int


def get_unanswered(connection: Connection, now: Instant) -> UnansweredCalls:
    """Return the customers who called in the last days, were missed, and whom nobody has talked to since."""
    found = _find(connection, now)
    newest = found[:_SHOWN]
    records = calls.get_records(connection, [each.call for each in newest])
    return UnansweredCalls(
        [
            UnansweredCall(
                each.call, each.number, records[each.call].contact_name, iso(each.began_at), each.calls
            )
            for each in newest
        ],
        len(found),
    )


def list_unanswered(
    connection: Connection, now: Instant, cursor: str | None = None, limit: int = PAGE
) -> Page:
    """Return a page of the calls that `get_unanswered` counts: the last missed call of each customer.

    Raises `FilterError` if the cursor is not one.
    """
    keys = [CallKey(each.began_at, each.call) for each in _find(connection, now)]
    if cursor is not None:
        before = parse_cursor(cursor)
        keys = [key for key in keys if key < before]
    shown = keys[:limit]
    return Page(
        listed_calls(connection, [key.id for key in shown]),
        format_cursor(shown[-1]) if len(keys) > limit else None,
    )


def _find(connection: Connection, now: Instant) -> list[UnansweredNumber]:
    since = Instant(now - duration(DAYS * 86_400))
    return unanswered.list_unanswered(connection, since, most=MOST)
