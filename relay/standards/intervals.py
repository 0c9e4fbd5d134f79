"""Lengths of time as people write them, the same in English and Spanish."""

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def format_interval(seconds: int) -> str:
    """Return whole units, the two largest: "40 s", "14 min", "2 h 5 min", "3 d 4 h"."""
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return _join(seconds // _HOUR, "h", seconds % _HOUR // _MINUTE, "min")
    return _join(seconds // _DAY, "d", seconds % _DAY // _HOUR, "h")


def _join(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"
