"""Parse times and durations as CloudTalk and people write them."""

import math
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.values import parse_text
from relay.instants import SECOND, Instant

LONGEST_CALL_SECONDS: Final = 86_400
"""A longer duration is not the duration of a call."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_YEAR_10000: Final = 253_402_300_800 * SECOND
_MILLISECONDS_FROM: Final = 100_000_000_000
"""From here on a Unix time is in milliseconds: in seconds it would be the year 5138."""

_MILLI: Final = 1_000
_SLACK_SECONDS: Final = 60
"""A duration may exceed its call by this much: clocks differ, and times are rounded."""


def parse_instant(value: Any, zone: tzinfo) -> Instant | None:
    """Parse ISO 8601, or a Unix time in seconds or milliseconds; zero counts as missing.

    A time without an offset is in `zone`.
    """
    text = parse_text(value)
    if text is None:
        return None
    try:
        instant = _parse_unix_time(float(text)) if _is_number(text) else _parse_iso(text, zone)
    except (ValueError, OverflowError) as error:
        raise InvalidValue("expected a time such as 2024-11-28T10:30:00Z") from error
    if not 0 <= instant < _YEAR_10000:
        raise InvalidValue("expected a time after 1970")
    return Instant(instant) if instant else None


def _is_number(text: str) -> bool:
    return text[0].isdigit() and text.replace(".", "", 1).isdigit() and text.isascii()


def _parse_unix_time(number: float) -> int:
    seconds = number / _MILLI if number >= _MILLISECONDS_FROM else number
    return timedelta(seconds=seconds) // _MICROSECOND


def _parse_iso(text: str, zone: tzinfo) -> int:
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND


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
