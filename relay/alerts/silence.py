"""Whether it is unusual that no event has arrived for so long. Pure.

The relay knows when calls began in the past weeks. It counts those that began while the clock on the wall
showed the same days and times as during the present silence. So nights, weekends and lunch breaks need no
settings.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from relay.instants import SECOND, Instant

WEEKS: Final = 4
"""How many past weeks count."""

_FEWEST_WEEKS: Final = 2
"""A relay that is younger raises no alert: one week may have been special."""

USUAL_CALLS: Final = 6
"""So many calls are usual in the time of the silence. If calls come by chance, none comes in one of 400
cases.
"""

_SHORTEST: Final = timedelta(minutes=20)
_LONGEST: Final = timedelta(days=6)
"""A longer silence would meet itself in the week before."""


class Window(NamedTuple):
    """A time span: from `start` on, before `end`."""

    start: Instant
    end: Instant


def past_windows(last_event_at: Instant, now: Instant, zone: ZoneInfo) -> list[Window]:
    """Return the same span of the past weeks, newest first; none if the silence is too short to be
    unusual.
    """
    start, end = _local(last_event_at, zone), _local(now, zone)
    if end - start < _SHORTEST:
        return []
    start = max(start, end - _LONGEST)
    weeks = (timedelta(weeks=week) for week in range(1, WEEKS + 1))
    return [Window(_instant(start - ago, zone), _instant(end - ago, zone)) for ago in weeks]


def is_unusual(calls: Sequence[int], first_call_at: Instant | None, windows: Sequence[Window]) -> bool:
    """Whether the silence is unusual. `calls`: how many began in each of the past windows."""
    known = [
        number
        for number, window in zip(calls, windows, strict=True)
        if first_call_at is not None and first_call_at <= window.start
    ]
    return len(known) >= _FEWEST_WEEKS and median(known) >= USUAL_CALLS


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    """Return the time on the wall, without a zone: a week later the wall shows the same, also after a change
    to summer time.
    """
    return datetime.fromtimestamp(instant / SECOND, UTC).astimezone(zone).replace(tzinfo=None)


def _instant(local: datetime, zone: ZoneInfo) -> Instant:
    return Instant(round(local.replace(tzinfo=zone).timestamp() * SECOND))
