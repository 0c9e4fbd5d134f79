"""Instants and durations, as CloudTalk and those who type its bodies write them."""

import math
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from relay.cloudtalk.values import InvalidValue, text
from relay.instants import SECOND

LONGEST_CALL: Final = 86_400
"""Seconds; a longer duration is no duration of a call."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_YEAR_10000: Final = 253_402_300_800 * SECOND
_MILLISECONDS_FROM: Final = 100_000_000_000
"""An epoch from here on is in milliseconds: in seconds it would be the year 5138."""

_MILLI: Final = 1_000
_SLACK: Final = 60
"""Seconds by which a measure may go beyond the call that it is of: clocks differ, and are rounded."""


def instant(value: Any, zone: tzinfo) -> int | None:
    """Microseconds since 1970 UTC, from ISO 8601 or an epoch in seconds or milliseconds.

    A time without an offset is taken to be in `zone`; zero says nothing.
    """
    written = text(value)
    if written is None:
        return None
    try:
        found = _epoch(float(written)) if _is_number(written) else _iso(written, zone)
    except (ValueError, OverflowError) as error:
        raise InvalidValue("expected a time such as 2024-11-28T10:30:00Z") from error
    if not 0 <= found < _YEAR_10000:
        raise InvalidValue("expected a time after 1970")
    return found or None


def _is_number(written: str) -> bool:
    return written[0].isdigit() and written.replace(".", "", 1).isdigit() and written.isascii()


def _epoch(number: float) -> int:
    seconds = number / _MILLI if number >= _MILLISECONDS_FROM else number
    return timedelta(seconds=seconds) // _MICROSECOND


def _iso(written: str, zone: tzinfo) -> int:
    moment = datetime.fromisoformat(written)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND


def duration(value: Any) -> int | None:
    """A duration in whole seconds, from a number, `"21"`, `"2:05"` or `"1:02:03"`; a negative one says
    nothing. It may still be in milliseconds by mistake: see `settle`.
    """
    written = text(value)
    if written is None:
        return None
    try:
        total = _clock(written) if ":" in written else float(written)
    except ValueError as error:
        raise InvalidValue("expected a duration in seconds") from error
    return math.floor(total) if 0 <= total <= LONGEST_CALL * _MILLI else None


def _clock(written: str) -> float:
    total = 0.0
    for part in written.split(":"):
        total = total * 60 + float(part)
    return total


def settle(facts: MutableMapping[str, Any]) -> None:
    """Mend the durations of these facts: what only milliseconds can have meant, between this start and
    this end, is divided; what no call can last says nothing.
    """
    started_at, ended_at = facts.get("started_at"), facts.get("ended_at")
    if started_at is not None and ended_at is not None and ended_at >= started_at:
        allowed = (ended_at - started_at) // SECOND + _SLACK
        for measure in ("duration", "talking", "waiting"):
            said = facts.get(measure, 0)
            if said >= _MILLI and said > 2 * allowed and said // _MILLI <= allowed:
                facts[measure] = said // _MILLI
    for measure in ("duration", "talking", "waiting", "wrapup"):
        if facts.get(measure, 0) > LONGEST_CALL:
            del facts[measure]
