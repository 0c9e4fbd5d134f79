"""Missed calls that nobody has called back."""

from collections.abc import AsyncIterator
from statistics import median
from typing import Final

import msgspec

from relay.instants import SECOND, Instant, duration, iso
from relay.ledger import Ledger, calls, unanswered
from relay.ledger.call_candidates import CallKey
from relay.ledger.connection import Connection
from relay.ledger.unanswered import UnansweredNumber
from relay.operations.call_list import PAGE, ListedCall, Page, format_cursor, listed_calls, parse_cursor

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


class FollowUps(msgspec.Struct, frozen=True):
    """The customers of the last `DAYS` days who wait for a call.

    `median_seconds`: from a missed call of these days to the conversation after it; None if there was none.
    """

    customers: int
    median_seconds: int | None


class UnansweredCalls(msgspec.Struct, frozen=True):
    """The newest of their calls, and the numbers of all."""

    newest: list[UnansweredCall]
    numbers: FollowUps


def count_follow_ups(connection: Connection, now: Instant) -> FollowUps:
    """Count the customers who wait for a call, and how long others waited."""
    return FollowUps(len(_find(connection, now)), _median_seconds(connection, now))


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
        FollowUps(len(found), _median_seconds(connection, now)),
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


async def iterate_unanswered(ledger: Ledger, limit: int | None = None) -> AsyncIterator[ListedCall]:
    """Yield these calls, up to `limit`."""
    most = MOST if limit is None else min(limit, MOST)
    page = await ledger.view(lambda connection: list_unanswered(connection, ledger.now(), limit=most))
    for call in page.calls:
        yield call


def _find(connection: Connection, now: Instant) -> list[UnansweredNumber]:
    return unanswered.list_unanswered(connection, _since(now), most=MOST)


def _median_seconds(connection: Connection, now: Instant) -> int | None:
    waits = unanswered.list_waits(connection, _since(now), most=MOST)
    return round(median(waits) / SECOND) if waits else None


def _since(now: Instant) -> Instant:
    return Instant(now - duration(DAYS * 86_400))
