"""Find the rows that the API has inserted with only some of their columns.

The API answers 201 if a row was deleted after it was read, and does not say which one. PostgREST before 12
always answers 201 (its CHANGELOG, 12.0.0). A new row has none of the other values. What people changed in
other rows must stay.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from crm_clients.supabase.errors import ApiFailure
from crm_clients.supabase.rest import Table
from crm_clients.supabase.table_rows import ALL_FIELDS, RowBuilder, TableRow

_WITHOUT_DEFAULTS: Final = frozenset(
    {"call_id", "call_uuid", "from", "to", "external_number", "internal_number", "started_at"}
    | {"agent_id", "agent_name", "agent_email", "contact_id", "contact_name"}
)
"""Fields for which no table has a default value: by these a row is known to be new."""

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def find_unwritten_values(builder: RowBuilder, request: Iterable[TableRow]) -> dict[str, dict[str, Any]]:
    """Return by call id the values that the request does not write, by column. Calls without any are absent,
    and so are those of which the relay knows no more than the row.
    """
    values = {row.call.id: _other_values(builder, row) for row in request if not row.partial}
    return {id_: others for id_, others in values.items() if others}


async def find_new(table: Table, other_values: Mapping[str, Mapping[str, Any]]) -> set[str] | ApiFailure:
    """Return those of these calls whose row has none of the other values."""
    columns = sorted(set[str]().union(*other_values.values()))
    stored = await table.select(other_values, [table.key, *columns])
    if not isinstance(stored, list):
        return stored
    rows = {row[table.key]: row for row in stored}
    return {
        id_
        for id_ in other_values.keys() & rows
        if all(rows[id_][column] in _EMPTY for column in other_values[id_])
    }


def _other_values(builder: RowBuilder, row: TableRow) -> dict[str, Any]:
    """Those without a default if there are any."""
    fields = {column: field for field, column in builder.columns_of(ALL_FIELDS) if column not in row.columns}
    values = {
        column: value
        for column, field in fields.items()
        if (value := builder.value_of(field, row.call)) not in _EMPTY
    }
    certain = {column: value for column, value in values.items() if fields[column] in _WITHOUT_DEFAULTS}
    return certain or values
