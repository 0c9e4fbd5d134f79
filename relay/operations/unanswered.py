"""Missed calls that nobody has called back.

How long a customer waits is counted in office hours, if the settings have some: a wait over night says when
customers call, not how fast people call back.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

import msgspec

from relay.instants import SECOND, Instant, duration, iso
from relay.ledger import Ledger, calls, unanswered
from relay.ledger.call_candidates import CallKey
from relay.ledger.connection import Connection
from relay.ledger.unanswered import UnansweredNumber
from relay.operations.call_list import PAGE, ListedCall, Page, format_cursor, listed_calls, parse_cursor
from relay.standards.office_hours import OfficeHours

DAYS: Final = 7
MOST: Final = 1_000
"""So many of the newest missed calls are looked at."""

_SHOWN: Final = 8


class UnansweredCall(msgspec.Struct, frozen=True):
    """The last missed call of a customer with whom nobody has talked since. `calls`: how many were missed,
    the first one at `first_at`.
    """

    id: str
    number: str
    contact_name: str | None
    at: str | None
    calls: int
    first_at: str | None


class WaitingCall(ListedCall, frozen=True, kw_only=True):
    """Such a call with its whole record. `missed_calls`: how many they made; `unanswered_seconds`: since
    the first of them.
    """

    missed_calls: int
    first_missed_at: str | None
    unanswered_seconds: int


class FollowUps(msgspec.Struct, frozen=True):
    """The customers of the last `DAYS` days who wait for a call.

    `longest_seconds`: how long the first of them has waited; None if nobody waits. `median_seconds`: from a
    missed call of these days to the conversation after it; None if there was none.
    """

    customers: int
    median_seconds: int | None
    longest_seconds: int | None = None


class UnansweredCalls(msgspec.Struct, frozen=True):
    """The customers who wait longest, and the numbers of all."""

    longest: list[UnansweredCall]
    numbers: FollowUps


def count_follow_ups(connection: Connection, now: Instant, hours: OfficeHours) -> FollowUps:
    """Count the customers who wait for a call, and how long they and others waited."""
    return _count(connection, _find(connection, now), now, hours)


def get_unanswered(connection: Connection, now: Instant, hours: OfficeHours) -> UnansweredCalls:
    """Return the customers who called in the last days, were missed, and whom nobody has talked to since."""
    found = _find(connection, now)
    shown = found[:_SHOWN]
    records = calls.get_records(connection, [each.call for each in shown])
    return UnansweredCalls(
        [
            UnansweredCall(
                each.call,
                each.number,
                records[each.call].contact_name,
                iso(each.began_at),
                each.calls,
                iso(each.first_at),
            )
            for each in shown
        ],
        _count(connection, found, now, hours),
    )


def list_unanswered(
    connection: Connection, now: Instant, cursor: str | None = None, limit: int = PAGE
) -> Page:
    """Return a page of the calls that `get_unanswered` counts: the last missed call of each customer, who
    waits longest first.

    Raises `FilterError` if the cursor is not one.
    """
    keys = [CallKey(each.first_at, each.call) for each in _find(connection, now)]
    if cursor is not None:
        last = parse_cursor(cursor)
        keys = [key for key in keys if key > last]
    shown = keys[:limit]
    return Page(
        listed_calls(connection, [key.id for key in shown]),
        format_cursor(shown[-1]) if len(keys) > limit else None,
    )


async def iterate_unanswered(
    ledger: Ledger, hours: OfficeHours, limit: int | None = None
) -> AsyncIterator[WaitingCall]:
    """Yield these calls, up to `limit`."""
    for call in await ledger.view(lambda connection: _list_waiting(connection, ledger.now(), hours, limit)):
        yield call


def _list_waiting(
    connection: Connection, now: Instant, hours: OfficeHours, limit: int | None
) -> list[WaitingCall]:
    found = _find(connection, now)[:limit]
    listed = listed_calls(connection, [each.call for each in found])
    return [
        WaitingCall(
            **{name: getattr(call, name) for name in ListedCall.__struct_fields__},
            missed_calls=each.calls,
            first_missed_at=iso(each.first_at),
            unanswered_seconds=_seconds(hours, each.first_at, now),
        )
        for each, call in zip(found, listed, strict=True)
    ]


def _find(connection: Connection, now: Instant) -> list[UnansweredNumber]:
    return unanswered.list_unanswered(connection, _since(now), most=MOST)


def _count(
    connection: Connection, waiting: list[UnansweredNumber], now: Instant, hours: OfficeHours
) -> FollowUps:
    called_back = unanswered.list_called_back(connection, _since(now), most=MOST)
    waits = [_seconds(hours, began_at, called_back_at) for began_at, called_back_at in called_back]
    return FollowUps(
        len(waiting),
        round(median(waits)) if waits else None,
        max((_seconds(hours, each.first_at, now) for each in waiting), default=None),
    )


def _seconds(hours: OfficeHours, start: Instant, end: Instant) -> int:
    return int(hours.between(_datetime(start), _datetime(end)) / timedelta(seconds=1))


def _datetime(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / SECOND, UTC)


def _since(now: Instant) -> Instant:
    return Instant(now - duration(DAYS * 86_400))
