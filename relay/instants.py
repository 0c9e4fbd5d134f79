"""Points in time and lengths of time, as the relay stores and compares them.

Both are whole microseconds. `NewType` keeps them apart from each other, from seconds and from counts
without a cost at run time; a sum or a difference must be wrapped again: `Instant(now + delay)`.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, NewType

Instant = NewType("Instant", int)
"""A point in time: microseconds since 1970-01-01 00:00 UTC."""

Duration = NewType("Duration", int)
"""A length of time in microseconds."""

SECOND: Final = Duration(1_000_000)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""In UTC, but without a time zone: each calculation with one costs twice as much."""


def duration(seconds: float) -> Duration:
    """Convert seconds, rounded down to a whole microsecond."""
    return Duration(int(seconds * SECOND))


@lru_cache(maxsize=1_024)  # a call, its legs and its next version have the same times
def iso(instant: int | None) -> str | None:
    """Format an instant as ISO 8601 UTC that ends in Z, with milliseconds if there are any."""
    if instant is None:
        return None
    moment = _EPOCH + timedelta(microseconds=instant)
    return f"{moment.isoformat(timespec='milliseconds' if moment.microsecond else 'seconds')}Z"


def local_iso(instant: int, zone: tzinfo) -> str:
    """Format an instant for people: ISO 8601 in whole seconds with a space, and with the zone's offset."""
    moment = datetime.fromtimestamp(instant // SECOND, zone)
    return moment.isoformat(sep=" ", timespec="seconds")
