"""Settings of the embedded CRM: its file, and the columns of its table."""

import re
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from relay.call import FIELDS

MERGED_INTO: Final = "merged_into"
"""The column with the id of the call that this call was merged into, for `on_merge = "mark"`."""

_RESERVED_COLUMNS: Final = ("id", "version", "updated_at", MERGED_INTO)
"""Columns that cannot be renamed: by them the client finds a row and its version."""

_DEFAULT_MAPPING: Final = {field: field for field in FIELDS if field not in {*_RESERVED_COLUMNS, "legs"}} | {
    "cloudtalk_data": "cloudtalkData"
}
_INTEGER_FIELDS: Final = frozenset(
    {"response_seconds", "duration_seconds", "talking_seconds", "waiting_seconds", "wrapup_seconds"}
    | {"follow_up"}
)
_ADDED_FIELDS: Final = frozenset({"missed_reason", "smart_notes"})
"""Fields that the first version of the table did not have."""

_TYPE_OF_CONSTANT: Final[dict[type, str]] = {bool: "INTEGER", int: "INTEGER", float: "REAL", str: "TEXT"}


class LocalSettings(DestinationSettings):
    """An SQLite file with a table of calls."""

    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r'[^"\x00-\x1f]{1,64}')

    path: Path = Field(
        description="The SQLite file of the embedded CRM. The relay creates the file and its folder if "
        "they are missing."
    )

    @model_validator(mode="after")
    def _validate_mapping(self) -> Self:
        # SQLite ignores the case of column names.
        names = (*_RESERVED_COLUMNS, *self.mapping.values(), *self.constants)
        require_distinct_names(name.lower() for name in names)
        return self

    @property
    def mapping(self) -> dict[str, str]:
        """The column of each field, in the order of the record. `state` has one only if it is renamed."""
        return self.remote_names(_DEFAULT_MAPPING)

    @property
    def columns(self) -> dict[str, str]:
        """The type of each column of the table."""
        fields = {
            column: "INTEGER" if field in _INTEGER_FIELDS else "TEXT"
            for field, column in self.mapping.items()
        }
        constants = {column: _TYPE_OF_CONSTANT[type(value)] for column, value in self.constants.items()}
        merged_into = {MERGED_INTO: "TEXT"} if self.on_merge == "mark" else {}
        fixed = {"version": "INTEGER", "updated_at": "TEXT"}
        return {"id": "TEXT"} | fields | fixed | constants | merged_into

    @property
    def added_columns(self) -> frozenset[str]:
        """The columns that a table of an earlier version of the relay may lack."""
        return frozenset(
            {MERGED_INTO, *(self.mapping[field] for field in _ADDED_FIELDS & self.mapping.keys())}
        )
