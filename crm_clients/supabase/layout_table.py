"""The layout `table`: one row per call, with a column per field."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from crm_clients.base import Outcome, Push, Retraction
from crm_clients.settings import STATE
from crm_clients.supabase.batches import (
    CallRows,
    build_outcome,
    encode_json,
    group_into_requests,
    request_body,
    send_in_order,
)
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.rest import Table, Upserted
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.sql import MERGED_INTO, table_sql
from relay.call import DELIVERED_FIELDS, FIELDS, Call

_SOURCES: Final = {STATE: "status"}
_ATTRIBUTES: Final = {**dict(zip(FIELDS, Call.__struct_fields__, strict=True)), STATE: "status"}
_ALWAYS_WRITTEN: Final = frozenset({"id", "version"})
_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)

_INSERT_REFUSED: Final = frozenset({"23502", "23514"})
"""NOT NULL and CHECK violations. PostgreSQL checks the row that an upsert would insert, even if it updates
an existing one (PostgreSQL, INSERT, "ON CONFLICT")."""

_NO_SUCH_COLUMN: Final = "42703"


class TableLayout:
    """Upserts the changed columns only, and completes rows that such an upsert has inserted.

    If a person deleted a row, an upsert of changed columns inserts a row without the other columns.
    Such an incomplete row is found by a read after the upsert, and then written whole.
    """

    def __init__(self, settings: SupabaseSettings, table: Table) -> None:
        self._settings = settings
        self._table = table
        self._mapping = settings.mapping
        self._all_columns = (
            *(column for _, column in self._columns_of(_ALL_FIELDS)),
            *settings.constants,
        )
        self._incomplete: set[str] = set()
        """Call ids of incomplete rows."""
        self._unchecked: set[str] = set()
        """Call ids of rows that may be incomplete, because the read after the upsert failed."""
        self._only_updates = False
        """Whether the table refused an insert of changed columns, so that rows are updated one by one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the relay writes."""
        return self._all_columns

    @property
    def merge_columns(self) -> tuple[str, ...]:
        """The column that only a retraction writes."""
        return (MERGED_INTO,)

    def sql(self, schema: str) -> str:
        """Return the SQL that creates the table."""
        return table_sql(self._settings.table, schema, self._mapping, self._settings.constants)

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Write the calls, with one request per set of changed columns."""
        ids = [push.call.id for push in pushes]
        if unchecked := self._unchecked.intersection(ids):
            failure = await self._find_incomplete(sorted(unchecked))
            if failure is not None:
                return {id_: build_outcome(failure, remote_id=id_, calls=len(ids)) for id_ in ids}
        return await send_in_order(group_into_requests(map(self._row, pushes)), self._write)

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark the rows one by one, or delete all of them in one request."""
        if not mark:
            return await self.forget(retractions)
        outcomes = {}
        for retraction in retractions:
            call = retraction.call
            updated = await self._table.update(call.id, encode_json(self._merge_values(call)))
            failure = None if isinstance(updated, bool) else updated
            outcomes[call.id] = build_outcome(failure, remote_id=call.id, calls=1)
        return outcomes

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete the rows."""
        ids = [retraction.call.id for retraction in retractions]
        failure = await self._table.delete(ids)
        return {id_: build_outcome(failure, remote_id=id_, calls=1) for id_ in ids}

    async def list_existing(self, calls: Sequence[Call]) -> set[str] | ApiFailure:
        """Return the ids of the calls that have a row."""
        rows = await self._table.select([call.id for call in calls], [self._table.key])
        return {str(row[self._table.key]) for row in rows} if isinstance(rows, list) else rows

    # --- building rows ----------------------------------------------------------------------------

    def _row(self, push: Push) -> CallRows:
        return self._build_row(push.call, _ALL_FIELDS if push.call.id in self._incomplete else push.changed)

    def _build_row(self, call: Call, fields: Collection[str]) -> CallRows:
        values = self._values(call, fields)
        return CallRows(call, tuple(values), encode_json(values))

    def _values(self, call: Call, fields: Collection[str]) -> dict[str, Any]:
        """Map columns to values. Constants are only part of a whole row, since people may change them."""
        values = {column: self._value(field, call) for field, column in self._columns_of(fields)}
        return values | self._settings.constants if _ALL_FIELDS.issubset(fields) else values

    def _columns_of(self, fields: Collection[str]) -> list[tuple[str, str]]:
        return [
            (field, column)
            for field, column in self._mapping.items()
            if field in _ALWAYS_WRITTEN or _SOURCES.get(field, field) in fields
        ]

    def _value(self, field: str, call: Call) -> Any:
        if field == "status":
            return self._settings.label(call.status)
        return getattr(call, _ATTRIBUTES[field])

    def _merge_values(self, call: Call) -> dict[str, Any]:
        version = self._mapping.get("version")
        return {MERGED_INTO: call.merged_into, **({version: call.version} if version else {})}

    # --- writing rows -----------------------------------------------------------------------------

    async def _write(self, request: Sequence[CallRows]) -> dict[str, Outcome]:
        is_whole = request[0].columns == self._all_columns
        if self._only_updates and not is_whole:
            return await send_in_order([[row] for row in request], self._update)
        result = await self._table.upsert(request_body(request))
        if isinstance(result, Upserted):
            if result.inserted and not is_whole:
                return await self._complete(request)
            self._incomplete.difference_update(row.call.id for row in request)
            return _outcomes(None, request)
        is_single = not is_whole and len(request) == 1
        if is_single and isinstance(result, ApiError) and result.code in _INSERT_REFUSED:
            return await self._update(request)
        return _outcomes(result, request)

    async def _update(self, request: Sequence[CallRows]) -> dict[str, Outcome]:
        """Update one row; PostgreSQL then checks the whole row and not only the changed columns."""
        (row,) = request
        updated = await self._table.update(row.call.id, row.encoded)
        if not isinstance(updated, bool):
            return _outcomes(updated, request)
        if updated:
            self._only_updates = True
            return _outcomes(None, request)
        return await self._write([self._build_row(row.call, _ALL_FIELDS)])

    async def _complete(self, request: Sequence[CallRows]) -> dict[str, Outcome]:
        """Write the rows that the upsert inserted as whole rows. The others may have a person's changes."""
        failure = await self._find_incomplete([row.call.id for row in request])
        if failure is not None:
            return _outcomes(failure, request)
        whole = [self._build_row(row.call, _ALL_FIELDS) for row in request if row.call.id in self._incomplete]
        return _outcomes(None, request) | await send_in_order(group_into_requests(whole), self._write)

    async def _find_incomplete(self, ids: Sequence[str]) -> ApiFailure | None:
        """Find the rows that the last upsert inserted: their `xmax` is 0. An upsert locks an existing row
        before it updates it, which sets `xmax` (PostgreSQL, "System Columns").
        """
        rows = await self._table.select(ids, [self._table.key, "xmax"])
        if isinstance(rows, ApiError) and rows.code == _NO_SUCH_COLUMN:
            rows = []  # a view has no xmax: incomplete rows cannot be found there
        if not isinstance(rows, list):
            self._unchecked.update(ids)
            return rows
        self._unchecked.difference_update(ids)
        self._incomplete.update(str(row[self._table.key]) for row in rows if int(row["xmax"]) == 0)
        return None


def _outcomes(failure: ApiFailure | None, request: Sequence[CallRows]) -> dict[str, Outcome]:
    return {row.call.id: build_outcome(failure, remote_id=row.call.id, calls=len(request)) for row in request}
