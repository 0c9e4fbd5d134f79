"""Times, durations and numbers as a page shows them."""

import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from relay.console.texts.units import UnitTexts
from relay.standards.unprintable import escape_unprintable

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_NARROW_SPACE: Final = "\u202f"
_COMMAND: Final = re.compile(r" \(`[^`]*`\)")
_NEEDS_STOP: Final = re.compile(r"(?:^|\s)(?!\S*://)\S*[\w)»]$")
_TIME: Final = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d)(?!\d)")
"""A time as sentences for people have it, see `local_iso`."""


class Formats:
    """Shows values in one language and one time zone. `now` is the time of the request."""

    def __init__(self, units: UnitTexts, zone: ZoneInfo, now: datetime) -> None:
        self._units = units
        self._zone = zone
        self._now = now.astimezone(zone)

    @property
    def zone_name(self) -> str:
        """The zone with its present offset: `Europe/Madrid, UTC+01:00`."""
        offset = self._now.strftime("%z")
        return f"{self._zone.key}, UTC{offset[:3]}:{offset[3:]}"

    def local(self, iso: str) -> datetime:
        """Return an ISO time of a view in the zone."""
        return datetime.fromisoformat(iso).astimezone(self._zone)

    def moment(self, iso: str | None) -> Markup:
        """Return a time, short for people, with the date and the offset for those who need them."""
        if iso is None:
            return Markup("")
        at = self.local(iso)
        shown = f"{at:%H:%M}" if at.date() == self._now.date() else f"{self.day(at.date())} {at:%H:%M}"
        return self._time_element(iso, at, shown)

    def exact(self, iso: str | None) -> Markup:
        """Return a time with its date, seconds and offset."""
        if iso is None:
            return Markup("")
        at = self.local(iso)
        return self._time_element(iso, at, f"{self.day(at.date())} {at:%H:%M:%S}")

    def _time_element(self, iso: str, at: datetime, shown: str) -> Markup:
        title = at.isoformat(" ", timespec="seconds")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, title, shown)

    def day(self, day: date) -> str:
        """Return a date, with its year unless it is this one."""
        year = "" if day.year == self._now.year else f" {day.year}"
        return f"{day.day} {self._units.months.split()[day.month - 1]}{year}"

    def duration(self, seconds: float | None) -> str:
        """Return a length of time in its two largest units: `3 min 12 s`."""
        if seconds is None:
            return ""
        whole = int(seconds)
        units = self._units
        if whole < _MINUTE:
            return f"{whole} {units.second}"
        if whole < _HOUR:
            return _two(whole // _MINUTE, units.minute, whole % _MINUTE, units.second)
        if whole < _DAY:
            return _two(whole // _HOUR, units.hour, whole % _HOUR // _MINUTE, units.minute)
        return _two(whole // _DAY, units.day, whole % _DAY // _HOUR, units.hour)

    def ago(self, iso: str | None) -> Markup:
        """Return how long ago a time was: `5 min ago`."""
        if iso is None:
            return Markup("")
        at = self.local(iso)
        seconds = max((self._now - at) / timedelta(seconds=1), 0)
        if seconds < _MINUTE:
            shown = self._units.just_now
        else:
            shown = self._units.ago.format(duration=self.largest_unit(seconds))
        return self._time_element(iso, at, shown)

    def largest_unit(self, seconds: float) -> str:
        """Return a length of time in its largest unit: `3 h`."""
        units = self._units
        for size, name in ((_DAY, units.day), (_HOUR, units.hour), (_MINUTE, units.minute)):
            if seconds >= size:
                return f"{int(seconds // size)} {name}"
        return f"{int(seconds)} {units.second}"

    def number(self, value: int) -> str:
        """Return a whole number, its thousands separated."""
        return f"{value:,}".replace(",", _NARROW_SPACE)

    def sentence(self, text: str) -> Markup:
        """Return a sentence with its times short: `at 04:12`, or `at 04:12 on 26 Nov`.

        Without the commands in parentheses, which the buttons of the page replace. A full stop ends it,
        unless its last word is a URL or a command, which somebody may copy.
        """
        shown = _COMMAND.sub("", text)
        return self.message(f"{shown}." if _NEEDS_STOP.search(shown) else shown)

    def message(self, text: str) -> Markup:
        """Return a text with its times short. Commands between backticks look like commands."""
        parts = escape_unprintable(text).split("`")
        shown = [
            Markup("<code>{}</code>").format(part) if number % 2 else self._with_times(part)
            for number, part in enumerate(parts)
        ]
        return Markup("").join(shown)

    def _with_times(self, text: str) -> Markup:
        parts = _TIME.split(text)
        return Markup("").join(
            self._time_of_day(part) if number % 2 else escape(part) for number, part in enumerate(parts)
        )

    def _time_of_day(self, written: str) -> Markup:
        try:
            at = self.local(written)
        except ValueError:  # A CRM's message may have 2024-99-99.
            return escape(written)
        clock, is_today = f"{at:%H:%M}", at.date() == self._now.date()
        shown = clock if is_today else self._units.clock_on_day.format(clock=clock, day=self.day(at.date()))
        return self._time_element(written, at, shown)

    def multiline(self, text: str) -> Markup:
        """Return a text of several lines."""
        return Markup("<br>").join(escape(escape_unprintable(line, keep="\t")) for line in text.splitlines())


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"
