"""What arrives from CloudTalk: events and calls hour by hour, and whether silence is unusual."""

from datetime import datetime, timedelta, tzinfo
from typing import Final

import msgspec

from relay.instants import SECOND, Duration, Instant, duration
from relay.ledger import activity, journal
from relay.ledger.connection import Connection

HOURS: Final = 24
_HOUR: Final = duration(3_600)
_WEEK: Final = 7
_WEEKS: Final = 4
_FEWEST_BUSY_WEEKS: Final = 3
_FEWEST_EVENTS: Final = 3
"""Events of an hour with which it counts as busy."""


class Hour(msgspec.Struct, frozen=True):
    """An hour of the day in the zone of the settings. `began_at`: Unix microseconds."""

    began_at: Instant
    calls: int
    events: int


class Activity(msgspec.Struct, frozen=True):
    """The last day, oldest hour first. `last_event_at`: None if no event has arrived yet.

    `is_silent`: no event arrived in the last hour. `is_unusual`: none arrived in it, although events arrived
    at this time of the week in most of the last weeks.
    """

    hours: list[Hour]
    last_event_at: Instant | None
    is_silent: bool
    is_unusual: bool


def get_activity(connection: Connection, now: Instant, zone: tzinfo) -> Activity:
    """Return what arrived in the last day, and in the last weeks at this time."""
    last = journal.last_received_at(connection)
    is_silent = last is None or last < now - _HOUR
    return Activity(
        hours=list_hours(connection, now, zone),
        last_event_at=last,
        is_silent=is_silent,
        is_unusual=is_silent and last is not None and _is_usually_busy(connection, now, zone),
    )


def list_hours(connection: Connection, now: Instant, zone: tzinfo) -> list[Hour]:
    """Return the last hours with their numbers, the present one last."""
    # A quarter divides the hours of every zone.
    quarter = Duration(_HOUR // 4)
    local = datetime.fromtimestamp(now // SECOND, zone)
    present = now - duration(local.minute * 60 + local.second) - now % SECOND
    since = Instant(present - _HOUR * (HOURS - 1))
    calls = activity.count_calls(connection, since, quarter)
    events = activity.count_events(connection, since, quarter)

    def in_hour(counts: dict[int, int], began_at: int) -> int:
        return sum(counts.get(began_at // quarter + part, 0) for part in range(4))

    starts = [Instant(since + _HOUR * number) for number in range(HOURS)]
    return [Hour(start, in_hour(calls, start), in_hour(events, start)) for start in starts]


def _is_usually_busy(connection: Connection, now: Instant, zone: tzinfo) -> bool:
    """Whether events arrived in this hour of the week in most of the last weeks.

    The clock on the wall counts, also if summer time has begun or ended since.
    """
    local = datetime.fromtimestamp(now / SECOND, zone)
    ends = [
        Instant(
            int((local.replace(tzinfo=None) - timedelta(days=_WEEK * week)).replace(tzinfo=zone).timestamp())
            * SECOND
        )
        for week in range(1, _WEEKS + 1)
    ]
    counts = [activity.count_arrived(connection, Instant(end - _HOUR), end) for end in ends]
    return sum(count >= _FEWEST_EVENTS for count in counts) >= _FEWEST_BUSY_WEEKS
