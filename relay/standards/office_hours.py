"""The hours in which people work: when a call back is due, and how much of a wait was working time.

All instants are aware datetimes. Hours are wall time of the team's zone, so an office that opens at 09:00
opens at 09:00 on both sides of a clock change.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

MINUTES_A_DAY: Final = 24 * 60
_MINUTES_AN_HOUR: Final = 60


class OfficeHours(msgspec.Struct, frozen=True):
    """The weekly hours of a team. Without spans the team always works.

    `spans`: of each working day, from and to, in minutes after its midnight, sorted, without overlap. A night
    shift ends on the next day, whatever day that is.
    `weekdays`: 0 is Monday; not empty. `holidays`: days without hours.
    """

    timezone: ZoneInfo
    spans: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset(range(5))
    holidays: frozenset[date] = frozenset()

    def next_open(self, instant: datetime) -> datetime:
        """Return the instant itself if the team works then, else when it begins to work next."""
        return self.add(instant, timedelta(0))

    def add(self, instant: datetime, working_time: timedelta) -> datetime:
        """Return when so much working time has passed since the instant."""
        if not self.spans:
            return instant + working_time
        left = working_time
        for opens, closes in self._hours_from(instant):
            begin = max(opens, instant)
            if begin + left < closes:
                return begin + left
            left -= closes - begin
        raise AssertionError("there is always another working day")  # pragma: no cover

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the working time between two instants; zero if the end is not after the start."""
        total = timedelta(0)
        if not self.spans or end <= start:
            return max(end - start, total)
        for opens, closes in self._hours_from(start):
            if opens >= end:
                return total
            total += min(closes, end) - max(opens, start)
        raise AssertionError("there is always another working day")  # pragma: no cover

    def _hours_from(self, instant: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield when the team begins and ends to work, in UTC, from the first end after the instant on."""
        # A night shift of the day before may not be over.
        day = instant.astimezone(self.timezone).date() - timedelta(days=1)
        while True:
            if day.weekday() in self.weekdays and day not in self.holidays:
                for first, last in self.spans:
                    opens, closes = self._instant(day, first), self._instant(day, last)
                    if closes > max(opens, instant):
                        yield opens, closes
            day += timedelta(days=1)

    def _instant(self, day: date, minutes: int) -> datetime:
        days, minutes = divmod(minutes, MINUTES_A_DAY)
        wall_time = time(*divmod(minutes, _MINUTES_AN_HOUR))
        return datetime.combine(day + timedelta(days=days), wall_time, self.timezone).astimezone(UTC)


ALWAYS_OPEN: Final = OfficeHours(ZoneInfo("UTC"))
"""Of a team that has no office hours."""
