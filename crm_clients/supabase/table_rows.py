"""Translate calls into rows of the layout `table`: whole rows, or the columns of some fields."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final

import msgspec

from crm_clients.settings import STATE
from crm_clients.supabase.batches import CallRows, encode_json
from crm_clients.supabase.settings import SupabaseSettings
from relay.call import DELIVERED_FIELDS, FIELDS, Call

ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
"""The fields of a whole row."""

SOURCES: Final = {STATE: "status"}
"""The field whose changes change another field."""

_ATTRIBUTES: Final = {**dict(zip(FIELDS, Call.__struct_fields__, strict=True)), STATE: "status"}
_ALWAYS_WRITTEN: Final = frozenset({"id", "version"})


ReadValue = Callable[[Call], Any]
"""Reads the value of one column from a call."""


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
        self._readers: dict[str, ReadValue] = {
            field: attrgetter(_ATTRIBUTES[field]) for field in self._mapping
        } | {"status": lambda call: settings.label(call.status)}
        # The fields of most calls change together.
        self._cached_readers = lru_cache(self._list_readers)
        self.columns = tuple(column for column, _ in self._cached_readers(ALL_FIELDS))
        """All columns, in the order of a whole row."""

    def build(
        self,
        call: Call,
        fields: frozenset[str],
        *,
        constants: bool = False,
        delivered_version: int = 0,
        partial: bool = False,
    ) -> TableRow:
        """Return the row with the columns of these fields. `constants`: with the constants too."""
        values = self.values_of(call, fields)
        if constants:
            values |= self._constants
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

    def values_of(self, call: Call, fields: frozenset[str]) -> dict[str, Any]:
        """Map columns to values. Constants are only part of a whole row, since people may change them."""
        return {column: read(call) for column, read in self._cached_readers(fields)}

    def _list_readers(self, fields: frozenset[str]) -> list[tuple[str, ReadValue]]:
        """Return the columns of a row with these fields, and what reads the value of each from a call."""
        readers = [(column, self._readers[field]) for field, column in self.columns_of(fields)]
        constants = self._constants if ALL_FIELDS.issubset(fields) else {}
        return readers + [(column, partial(_constant, value)) for column, value in constants.items()]

    def columns_of(self, fields: Collection[str]) -> list[tuple[str, str]]:
        """Return the columns that have a value of these fields, each as (field, column)."""
        return [
            (field, column)
            for field, column in self._mapping.items()
            if field in _ALWAYS_WRITTEN or SOURCES.get(field, field) in fields
        ]

    def value_of(self, field: str, call: Call) -> Any:
        """Return what the column of this field contains."""
        return self._readers[field](call)


def _constant(value: Any, _: Call) -> Any:
    return value


def with_existing_data(call: Call, data: Mapping[str, Any]) -> Call:
    """Return the call with the keys of `cloudtalk_data` that only its row has. `data`: by call id."""
    existing = data.get(call.id)
    if not isinstance(existing, dict):
        return call
    return msgspec.structs.replace(call, cloudtalk_data=existing | call.cloudtalk_data)
