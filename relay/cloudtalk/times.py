"""Parse times and durations as CloudTalk and people write them."""

import math
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from relay.call import ALTERNATIVES, choose_instants
from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.values import parse_text, restore_digits
from relay.instants import SECOND, Instant

LONGEST_CALL_SECONDS: Final = 86_400
"""A longer duration is not the duration of a call."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_YEAR_9999: Final = 253_370_764_800 * SECOND
"""The limit of times. A later one, or one with a duration added, may have no local time in some zone."""

_MILLISECONDS_FROM: Final = 100_000_000_000
"""From here on a Unix time is in milliseconds: in seconds it would be the year 5138. A thousand times as much
is in microseconds, and so on."""

_LONGEST_NUMBER: Final = 40
"""In characters. Nanoseconds with a fraction are shorter, and a million digits would cost seconds."""

_COMPACT_LENGTH: Final = len("20241128103000")
_YEAR_AND_SLASH: Final = re.compile(r"^(\d{4})/(\d{1,2})/(\d{1,2})\b")
_ZONE_NAME: Final = re.compile(r"\s*\[([\w/+-]+)\]$|\s+([A-Za-z]+/[\w/+-]+)$")
_ZONE_REMARK: Final = re.compile(
    r"\s*\([^)]*\)$|\b(?:GMT|UTC)(?=\s?[+-]?(?:\d|0\d|1[0-4])(?!\d{3}))", re.IGNORECASE
)
"""In `GMT+0100 (Central European Standard Time)` only the offset counts."""

_AT_END: Final = r"(?=\s+\d{4}$|$)"
"""A zone is at the end, or before the year, as in `Tue Nov 24 08:00:00 UTC 2026`."""

_OFFSETS: Final = {
    **dict.fromkeys(("UT", "UTC", "GMT", "Z"), "+0000"),
    "EST": "-0500",
    "EDT": "-0400",
    "CST": "-0600",
    "CDT": "-0500",
    "MST": "-0700",
    "MDT": "-0600",
    "PST": "-0800",
    "PDT": "-0700",
}
"""The names of zones in RFC 2822. Other abbreviations have several meanings, as IST, or are unknown."""

_ABBREVIATION: Final = re.compile(rf"(?<=\d)\s*\b({'|'.join(_OFFSETS)}){_AT_END}", re.IGNORECASE)
_OFFSET_IN_HOURS: Final = re.compile(rf"(:\d\d(?:[.,]\d+)?\s*[+-])(\d{{1,2}}){_AT_END}")
_WORD: Final = re.compile("[a-z]+")
_NAMES: Final = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_KNOWN_WORDS: Final = frozenset({"t", *_NAMES, *(name[:3] for name in _NAMES)})
"""Words of a time that name no zone and no half of the day."""

_LOST_PLUS: Final = re.compile(
    r"(\d:\d\d(?::\d\d(?:[.,]\d+)?)?|T\d{4,6})\s+([01]\d(?::?[0-5]\d)?)$", re.IGNORECASE
)
"""A "+" in a query or a form is a space."""

_MIDNIGHT: Final = re.compile(r"(?<=[T ])24:00(?::00(?:[.,]0+)?)?(?![:.,\d])", re.IGNORECASE)
_LEAP_SECOND: Final = re.compile(r"(?<=\d:\d\d:)60(?!\d)")
_MILLI: Final = 1_000
_SLACK_SECONDS: Final = 60
"""A duration may exceed its call by this much: clocks differ, and times are rounded."""


class RepeatedTime(NamedTuple):
    """A time without an offset in the hour that a zone repeats when summer time ends: it is one of two."""

    first: Instant
    second: Instant


def parse_instant(value: Any, zone: tzinfo) -> Instant | RepeatedTime | None:
    """Parse ISO 8601, RFC 2822, or a Unix time in seconds, milliseconds or less; zero counts as missing.

    A time without an offset is in the zone that it names, else in `zone`.
    """
    text = parse_text(value)
    if text is None:
        return None
    text = restore_digits(text)
    try:
        first, second = _parse_unix_time(text) if _is_number(text) else _parse_written_time(text, zone)
    except (ValueError, OverflowError, LookupError, OSError) as error:  # OSError: a folder of zones is named
        raise InvalidValue("expected a time such as 2024-11-28T10:30:00Z") from error
    if not 0 <= first < _YEAR_9999:
        raise InvalidValue("expected a time from 1970 to 9998")
    if second > first:
        return RepeatedTime(Instant(first), Instant(second))
    return Instant(first) if first else None


def _is_number(text: str) -> bool:
    if len(text) == _COMPACT_LENGTH or len(text) > _LONGEST_NUMBER:
        return False
    return text.replace(".", "", 1).isdigit() and text.isascii()


def _parse_unix_time(text: str) -> tuple[int, int]:
    number = Decimal(text)
    for _ in ("milliseconds", "microseconds", "nanoseconds"):
        number = number / _MILLI if number >= _MILLISECONDS_FROM else number
    instant = timedelta(microseconds=int(number * SECOND)) // _MICROSECOND
    return instant, instant


def _parse_written_time(text: str, zone: tzinfo) -> tuple[int, int]:
    """Return the instant twice, or both instants of a repeated time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _parse_other_form(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    first = (moment - _EPOCH) // _MICROSECOND
    if isinstance(moment.tzinfo, timezone):
        return first, first
    repeated = moment.replace(fold=1)
    is_repeated = repeated.utcoffset() != moment.utcoffset()
    return first, (repeated - _EPOCH) // _MICROSECOND if is_repeated else first


def _parse_other_form(text: str) -> datetime:
    """Parse a time with the name of a zone, with a lost plus, or in another form than ISO 8601.

    Raises `ValueError` for a time with a word that is not understood: it may name a zone.
    """
    words = _WORD.findall(text.lower())
    text = _LOST_PLUS.sub(r"\1+\2", _ZONE_REMARK.sub("", text))
    text = _ABBREVIATION.sub(lambda found: f" {_OFFSETS[found[1].upper()]}", text)
    text = _OFFSET_IN_HOURS.sub(lambda found: f"{found[1]}{found[2]:>02}00", text)
    named = _ZONE_NAME.search(text)
    moment = _parse_clock_time(text[: named.start()] if named else text)
    if moment.tzinfo is None and named:
        return moment.replace(tzinfo=ZoneInfo(_zone_key(named[1] or named[2])))
    if moment.tzinfo is None and not _KNOWN_WORDS.issuperset(words):
        raise ValueError(text)
    return moment


def _zone_key(name: str) -> str:
    return name if "/" in name else name.upper()


def _parse_clock_time(text: str) -> datetime:
    """Parse ISO 8601, else RFC 2822. Python has no hour 24 and no second 60."""
    text, midnights = _MIDNIGHT.subn("00:00:00", text)
    text, leap_seconds = _LEAP_SECOND.subn("59", text)
    later = timedelta(days=midnights, seconds=leap_seconds)
    if len(text) == _COMPACT_LENGTH and text.isdigit():
        text = f"{text[:8]}T{text[8:]}"
    try:
        return datetime.fromisoformat(_YEAR_AND_SLASH.sub(_format_date, text).upper()) + later
    except ValueError:
        return parsedate_to_datetime(text) + later


def _format_date(date: re.Match[str]) -> str:
    return "-".join(part.zfill(2) for part in date.groups())


def choose_repeated_times(facts: MutableMapping[str, Any]) -> None:
    """Replace each repeated time by the instant that fits the other facts, and add the other instant of a
    time of the call: the facts of other events may show that this one fits.
    """
    if RepeatedTime not in map(type, facts.values()):
        return
    repeated = {fact: value for fact, value in facts.items() if isinstance(value, RepeatedTime)}
    facts.update({fact: time.first for fact, time in repeated.items()})
    facts.update({ALTERNATIVES[fact]: time.second for fact, time in repeated.items() if fact in ALTERNATIVES})
    for fact, instant in choose_instants(facts).items():
        if instant != facts[fact]:
            facts[fact], facts[ALTERNATIVES[fact]] = facts[ALTERNATIVES[fact]], facts[fact]


def parse_seconds(value: Any) -> int | None:
    """Parse a duration in whole seconds from a number, `"21"`, `"2:05"` or `"1:02:03"`.

    A negative duration counts as missing. The result may still be in milliseconds: see
    `correct_durations`.
    """
    text = parse_text(value)
    if text is None:
        return None
    try:
        total = _parse_clock(text) if ":" in text else float(text)
    except ValueError as error:
        raise InvalidValue("expected a duration in seconds") from error
    return math.floor(total) if 0 <= total <= LONGEST_CALL_SECONDS * _MILLI else None


def _parse_clock(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def correct_durations(facts: MutableMapping[str, Any]) -> None:
    """Convert durations that can only be milliseconds, and remove those that are too long for any call.

    A duration is in milliseconds if it is far too long for the time between start and end, and fits it once
    divided by 1000.
    """
    started_at, ended_at = facts.get("started_at"), facts.get("ended_at")
    if started_at is not None and ended_at is not None and ended_at >= started_at:
        allowed = (ended_at - started_at) // SECOND + _SLACK_SECONDS
        for fact in ("duration", "talking", "waiting"):
            seconds = facts.get(fact, 0)
            if seconds >= _MILLI and seconds > 2 * allowed and seconds // _MILLI <= allowed:
                facts[fact] = seconds // _MILLI
    for fact in ("duration", "talking", "waiting", "wrapup"):
        if facts.get(fact, 0) > LONGEST_CALL_SECONDS:
            del facts[fact]
