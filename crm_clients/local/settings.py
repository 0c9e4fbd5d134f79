"""Where the embedded CRM's file lies, and which columns it has."""

import re
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from relay.call import FIELDS

MARK: Final = "merged_into"
"""A column of its own where `on_merge` marks records that went into others."""

_OWN: Final = ("id", "version", "updated_at", MARK)
"""The columns that go nowhere else: by them a row is found, and an older version known."""

_COLUMN_OF: Final = {field: field for field in FIELDS if field not in _OWN} | {
    "cloudtalk_data": "cloudtalkData"
}
_INTEGERS: Final = frozenset(
    {"response_seconds", "duration_seconds", "talking_seconds", "waiting_seconds", "wrapup_seconds"}
    | {"follow_up"}
)
_KINDS: Final[dict[type, str]] = {bool: "INTEGER", int: "INTEGER", float: "REAL", str: "TEXT"}


class LocalSettings(DestinationSettings):
    """An SQLite file of calls."""

    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r'[^"\x00-\x1f]{1,64}')

    path: Path = Field(description="The file; it and its folder are created where they are missing.")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        # SQLite tells no upper case from lower case in a column's name.
        require_distinct_names(name.lower() for name in (*_OWN, *self.mapping.values(), *self.constants))
        return self

    @property
    def mapping(self) -> dict[str, str]:
        """The column of each field that has one, in the record's order; `state` has one if it is given."""
        return self.remote_names(_COLUMN_OF)

    @property
    def columns(self) -> dict[str, str]:
        """Every column of the table, and its type."""
        fields = {theirs: "INTEGER" if ours in _INTEGERS else "TEXT" for ours, theirs in self.mapping.items()}
        constants = {column: _KINDS[type(value)] for column, value in self.constants.items()}
        mark = {MARK: "TEXT"} if self.on_merge == "mark" else {}
        return {"id": "TEXT"} | fields | {"version": "INTEGER", "updated_at": "TEXT"} | constants | mark
