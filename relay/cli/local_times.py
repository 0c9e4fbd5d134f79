"""Times as people read them: in the settings' time zone, with the offset."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from relay.cli.output import print_table

_SUFFIXES: Final = ("_at", "_until")
"""Of the fields that are times, in every view."""


def local_time(written: str | None, zone: ZoneInfo, *, seconds: bool = True) -> str | None:
    """Return an ISO time as local time with its offset, such as `2024-11-28 11:30:00+01:00`."""
    if written is None:
        return None
    moment = datetime.fromisoformat(written).astimezone(zone)
    return moment.isoformat(" ", timespec="seconds" if seconds else "minutes")


def with_local_times(view: msgspec.Struct | Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Return the fields of a view, the times as local times."""
    fields = view if isinstance(view, Mapping) else msgspec.structs.asdict(view)
    return {
        name: local_time(value, zone) if _is_time(name) and isinstance(value, str) else value
        for name, value in fields.items()
    }


def print_local_records(columns: Sequence[str], records: Iterable[msgspec.Struct], zone: ZoneInfo) -> None:
    """Print a table with one row per record and one column per named field."""
    rows = [with_local_times(record, zone) for record in records]
    print_table(columns, [[row[column] for column in columns] for row in rows])


def _is_time(field: str) -> bool:
    return field == "at" or field.endswith(_SUFFIXES)
