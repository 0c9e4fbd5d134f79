"""Divide a range of time into windows, and go through their pages. Pure.

CloudTalk takes `date_from` and `date_to` without an offset, and does not say in which time zone they are. So
the edges are written as if they were UTC, and the whole range is asked for with the largest offsets that
exist beyond both ends; the importer keeps the calls that began in the range. Inner edges are all in the
same zone, so they need an overlap only for the hour that is repeated when summer time ends.

Rows come newest first, so a call that is added while pages are read moves rows to the next pages. Then the
number of items changes, and the window is read again in halves. A half that ends before the present does not
change any more, and a window of one page cannot.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from relay.instants import SECOND, Duration, Instant

_HOUR: Final = 3_600 * SECOND
_WEST: Final = Duration(12 * _HOUR)
_EAST: Final = Duration(14 * _HOUR)
"""The largest offsets of time zones from UTC."""

_OVERLAP: Final = Duration(_HOUR)
_LONGEST: Final = Duration(31 * 24 * _HOUR)
_SHORTEST: Final = Duration(4 * _HOUR)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Range(msgspec.Struct, frozen=True):
    """The calls that began at or after `since` and before `until`."""

    since: Instant
    until: Instant

    def has(self, started_at: Instant | None) -> bool:
        """Whether a call of this start is meant. One without a readable start is, rather than lost."""
        return started_at is None or self.since <= started_at < self.until


class Window(msgspec.Struct, frozen=True):
    """A part of a range: both edges as they are asked for."""

    start: int
    end: int

    @property
    def date_from(self) -> str:
        """The start, as CloudTalk takes it."""
        return _write(self.start)

    @property
    def date_to(self) -> str:
        """The end, as CloudTalk takes it; a call of this second belongs to the window."""
        return _write(-(-self.end // SECOND) * SECOND)

    @property
    def can_be_bisected(self) -> bool:
        """Whether it is long enough: what is short is read to its end, however it changes."""
        return self.end - self.start >= 2 * _SHORTEST

    def bisect(self) -> list["Window"]:
        """Return the newer half, then the older one, which overlap."""
        middle = (self.start + self.end) // 2
        return [Window(middle - _OVERLAP, self.end), Window(self.start, middle)]


class Position(msgspec.Struct, frozen=True):
    """Where the reading of a range is: the windows that are left, and the next page of the first one.

    `items`: how many rows that window had on its last page, None before its first. `pages`: how many it had.
    """

    windows: list[Window]
    page: int = 1
    items: int | None = None
    pages: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not self.windows

    @property
    def pages_left(self) -> int:
        """The least number of requests that are left. A window that nobody asked for yet counts as one."""
        current = (self.pages or self.page) - self.page + 1 if self.windows else 0
        return max(current, 0) + max(len(self.windows) - 1, 0)

    def after(self, items: int | None, pages: int | None, *, is_last: bool) -> "Position":
        """Return the place after the page that was read, which stated these numbers of the whole window."""
        if self._has_shifted(items):
            return Position([*self.windows[0].bisect(), *self.windows[1:]])
        if is_last:
            return Position(self.windows[1:])
        return Position(self.windows, self.page + 1, items, pages)

    def _has_shifted(self, items: int | None) -> bool:
        return None not in (self.items, items) and items != self.items and self.windows[0].can_be_bisected


def divide(wanted: Range) -> Position:
    """Return the place before the first page: the newest window is read first."""
    start, end = wanted.since - _WEST, wanted.until + _EAST
    windows = []
    while end - start > _LONGEST:
        windows.append(Window(end - _LONGEST, end))
        end -= _LONGEST - _OVERLAP
    return Position([*windows, Window(start, end)])


def _write(edge: int) -> str:
    return (_EPOCH + timedelta(microseconds=edge)).strftime("%Y-%m-%d %H:%M:%S")
