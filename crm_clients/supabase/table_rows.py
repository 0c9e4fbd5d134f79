"""Translate calls into rows of the layout `table`: whole rows, or the columns of some fields."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_clients.settings import STATE
from crm_clients.supabase.batches import CallRows, encode_json
from crm_clients.supabase.settings import SupabaseSettings
from relay.call import DELIVERED_FIELDS, FIELDS, Call

ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
"""The fields of a whole row."""

_SOURCES: Final = {STATE: "status"}
_ATTRIBUTES: Final = {**dict(zip(FIELDS, Call.__struct_fields__, strict=True)), STATE: "status"}
_ALWAYS_WRITTEN: Final = frozenset({"id", "version"})


class TableRow(CallRows, frozen=True, kw_only=True):
    """The row of one call. `delivered_version`: the version that the changes follow, 0 for any. `partial`:
    the relay knows no more of the call than this row.
    """

    delivered_version: int = 0
    partial: bool = False


class RowBuilder:
    """Builds rows with the columns, labels and constants of the settings."""

    def __init__(self, settings: SupabaseSettings) -> None:
        self._mapping = settings.mapping
        self._constants = settings.constants
        self._label = settings.label
        self.columns = (*(column for _, column in self.columns_of(ALL_FIELDS)), *self._constants)
        """All columns, in the order of a whole row."""

    def build(
        self,
        call: Call,
        fields: Collection[str],
        *,
        constants: bool = False,
        delivered_version: int = 0,
        partial: bool = False,
    ) -> TableRow:
        """Return the row with the columns of these fields. `constants`: with the constants too."""
        values = self.values_of(call, fields) | (self._constants if constants else {})
        return TableRow(
            call,
            tuple(values),
            encode_json(values),
            delivered_version=delivered_version,
            partial=partial,
        )

    def build_whole(self, rows: Iterable[CallRows]) -> list[TableRow]:
        """Return the whole rows of the same calls."""
        return [self.build(row.call, ALL_FIELDS) for row in rows]

    def is_whole(self, request: Sequence[CallRows]) -> bool:
        """Whether a request has whole rows. All its rows have the same columns."""
        return request[0].columns == self.columns

    def values_of(self, call: Call, fields: Collection[str]) -> dict[str, Any]:
        """Map columns to values. Constants are only part of a whole row, since people may change them."""
        values = {column: self.value_of(field, call) for field, column in self.columns_of(fields)}
        return values | self._constants if ALL_FIELDS.issubset(fields) else values

    def columns_of(self, fields: Collection[str]) -> list[tuple[str, str]]:
        """Return the columns that have a value of these fields, each as (field, column)."""
        return [
            (field, column)
            for field, column in self._mapping.items()
            if field in _ALWAYS_WRITTEN or _SOURCES.get(field, field) in fields
        ]

    def value_of(self, field: str, call: Call) -> Any:
        """Return what the column of this field contains."""
        if field == "status":
            return self._label(call.status)
        return getattr(call, _ATTRIBUTES[field])


def with_existing_data(call: Call, data: Mapping[str, Any]) -> Call:
    """Return the call with the keys of `cloudtalk_data` that only its row has. `data`: by call id."""
    existing = data.get(call.id)
    if not isinstance(existing, dict):
        return call
    return msgspec.structs.replace(call, cloudtalk_data=existing | call.cloudtalk_data)
