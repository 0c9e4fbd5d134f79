"""The layout `table`: one row per call, with a column per field."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Delivered, Outcome, Outdated, Push, Retraction
from crm_clients.batch import mark_existed
from crm_clients.supabase.batches import (
    CallRows,
    build_outcome,
    encode_json,
    group_into_requests,
    request_body,
    send_in_order,
)
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.inserted_rows import find_new, find_unwritten_values
from crm_clients.supabase.rest import Row, Table, Upserted
from crm_clients.supabase.sample import SAMPLE_CALL, SMALLEST_CALL
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.sql import MERGED_INTO, table_sql
from crm_clients.supabase.table_reading import Records, TableReader
from crm_clients.supabase.table_rows import ALL_FIELDS, RowBuilder, TableRow, with_existing_data
from crm_clients.supabase.too_long import name_columns
from crm_clients.supabase.unchanged import find_unchanged, find_unwritten, is_older, version_of
from relay.call import Call

_INSERT_REFUSED: Final = frozenset({"23502", "23514"})
"""NOT NULL and CHECK violations. PostgreSQL checks the row that an upsert would insert, even if it updates
an existing one (PostgreSQL, INSERT, "ON CONFLICT")."""


class TableLayout:
    """Writes the changed columns of rows that exist, and whole rows that do not.

    An upsert of some columns would insert an incomplete row if a person deleted the row. So what the API
    returns decides which rows exist: an update returns the row, and several rows are read before they are
    upserted in one request.
    """

    def __init__(self, settings: SupabaseSettings, table: Table) -> None:
        self._settings = settings
        self._table = table
        self._builder = RowBuilder(settings)
        self._reader = TableReader(settings, table, self._builder)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the relay writes."""
        return self._builder.columns

    @property
    def merge_columns(self) -> tuple[str, ...]:
        """The column that only a retraction writes."""
        return (MERGED_INTO,)

    def sql(self, schema: str) -> str:
        """Return the SQL that creates the table."""
        sample = self._builder.values_of(SAMPLE_CALL, ALL_FIELDS)
        few = self._builder.values_of(SMALLEST_CALL, ALL_FIELDS)
        optional = [column for column, value in few.items() if value is None]
        return table_sql(
            self._settings.table, schema, self._settings.mapping, self._settings.constants, sample, optional
        )

    def row_of(self, call: Call) -> Row:
        """Return the whole row of a call, with every column that the relay writes."""
        merged = {MERGED_INTO: call.merged_into} if self._settings.on_merge == "mark" else {}
        return self._builder.values_of(call, ALL_FIELDS) | merged

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Write the calls, with one request per set of changed columns.

        A partial push writes a whole row only if there is none: its defaults must not replace values.
        """
        new = [self._builder.build(push.call, ALL_FIELDS) for push in pushes if push.partial and push.first]
        outcomes = await send_in_order(group_into_requests(new), self._insert_absent)
        rest = [push for push in pushes if push.call.id not in outcomes]
        data = await self._read_data(rest)
        if not isinstance(data, dict):
            return outcomes | _outcomes(data, [self._builder.build(push.call, push.changed) for push in rest])
        rows = [
            self._builder.build(
                with_existing_data(push.call, data),
                push.changed,
                constants=push.rewrite,
                delivered_version=push.delivered_version,
                partial=push.partial,
            )
            for push in rest
        ]
        written = await send_in_order(group_into_requests(rows), self._write)
        return outcomes | mark_existed(written, (p.call.id for p in rest if p.first and p.partial))

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark the rows one by one, or delete all of them in one request."""
        if not mark:
            return await self.forget(retractions)
        outcomes: dict[str, Outcome] = {}
        for retraction in retractions:
            outcomes |= await self._mark(retraction.call)
        return outcomes

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete the rows."""
        calls = [retraction.call for retraction in retractions]
        deleted = await self._table.delete(call.id for call in calls)
        if not isinstance(deleted, set):
            return {call.id: build_outcome(deleted, remote_id=call.id, calls=1) for call in calls}
        return await self._outcomes_of_removal(calls, deleted)

    async def read(self, pushes: Sequence[Push]) -> Records | ApiFailure:
        """Return the rows of the calls and their doubles, compared."""
        return await self._reader.read(pushes)

    async def _versions(self, calls: Sequence[Call]) -> dict[str, int | None] | ApiFailure:
        """Return the versions of the rows, 0 for an impossible one; None without a version column."""
        rows = await self._table.select([call.id for call in calls], self._table.identity)
        if not isinstance(rows, list):
            return rows
        return {row[self._table.key]: version_of(self._table, row) for row in rows}

    async def _mark(self, call: Call) -> dict[str, Outcome]:
        updated = await self._table.update(call.id, encode_json(self._merge_values(call)))
        if not isinstance(updated, list):
            return {call.id: build_outcome(updated, remote_id=call.id, calls=1)}
        marked = {call.id} if updated and not is_older(self._table, updated[0], call.version) else set()
        return await self._outcomes_of_removal([call], marked)

    def _merge_values(self, call: Call) -> dict[str, Any]:
        version = self._table.version
        return {MERGED_INTO: call.merged_into, **({version: call.version} if version else {})}

    async def _outcomes_of_removal(self, calls: Sequence[Call], removed: set[str]) -> dict[str, Outcome]:
        rows = {
            call.id: self._builder.values_of(call, ALL_FIELDS) for call in calls if call.id not in removed
        }
        failures = await find_unchanged(self._table, rows)
        return {call.id: build_outcome(failures.get(call.id), remote_id=call.id, calls=1) for call in calls}

    # --- writing rows -----------------------------------------------------------------------------

    async def _write(self, request: Sequence[TableRow]) -> dict[str, Outcome]:
        if self._builder.is_whole(request):
            return await self._upsert(request)
        return await (self._update(request) if len(request) == 1 else self._update_many(request))

    async def _insert_absent(self, request: Sequence[CallRows]) -> dict[str, Outcome]:
        """Insert the rows that do not exist. The calls of existing rows are absent from the result."""
        inserted = await self._table.insert_absent(request_body(request))
        if not isinstance(inserted, list):
            return _outcomes(inserted, request)
        ids = [row[self._table.key] for row in inserted]
        return {id_: build_outcome(None, remote_id=id_, calls=1) for id_ in ids}

    async def _read_data(self, pushes: Sequence[Push]) -> dict[str, Any] | ApiFailure:
        """Return CloudTalk's raw data in the existing rows of partial pushes, by call id."""
        column = self._settings.mapping.get("cloudtalk_data")
        ids = [push.call.id for push in pushes if push.partial and "cloudtalk_data" in push.changed]
        if column is None or not ids:
            return {}
        rows = await self._table.select(ids, [self._table.key, column])
        return {row[self._table.key]: row[column] for row in rows} if isinstance(rows, list) else rows

    async def _update(self, request: Sequence[TableRow]) -> dict[str, Outcome]:
        """Update one row, or write it whole if there is none."""
        (row,) = request
        updated = await self._table.update(row.call.id, row.encoded, min_version=row.delivered_version)
        if not isinstance(updated, list):
            return _outcomes(updated, request)
        if not updated and row.delivered_version:
            return await self._update_many(request)
        if not updated:
            return await self._upsert(self._builder.build_whole(request))
        return await self._confirm(request, updated)

    async def _update_many(self, request: Sequence[TableRow]) -> dict[str, Outcome]:
        """Upsert the changed columns of the rows that exist, and write the other rows whole.

        A row that lacks changes before these stays as it is.
        """
        versions = await self._versions([row.call for row in request])
        if not isinstance(versions, dict):
            return _outcomes(versions, request)
        outdated = {
            row.call.id: _outdated(stored, row)
            for row in request
            if (stored := versions.get(row.call.id)) and stored < row.delivered_version
        }
        current = [row for row in request if row.call.id in versions.keys() - outdated]
        absent = self._builder.build_whole(row for row in request if row.call.id not in versions)
        requests = [*([current] if current else []), *group_into_requests(absent)]
        return {**outdated, **await send_in_order(requests, self._upsert)}

    async def _upsert(self, request: Sequence[TableRow]) -> dict[str, Outcome]:
        returned = self._table.identity if self._table.version else ()
        result = await self._table.upsert(request_body(request), returned)
        is_whole = self._builder.is_whole(request)
        if isinstance(result, Upserted):
            outcomes = await self._confirm(request, result.rows)
            return outcomes | (
                await self._write_inserted_whole(request) if result.inserted and not is_whole else {}
            )
        if isinstance(result, ApiError) and result.code in _INSERT_REFUSED and not is_whole:
            # Without the version filter: `_update_many` compared the versions already, and with the filter
            # `_update` would call it again.
            rows = [msgspec.structs.replace(row, delivered_version=0) for row in request]
            return await send_in_order([[row] for row in rows], self._update)
        return _outcomes(result, request)

    async def _write_inserted_whole(self, request: Sequence[TableRow]) -> dict[str, Outcome]:
        """Write those rows whole that the API has inserted with some of their columns."""
        other_values = find_unwritten_values(self._builder, request)
        if not other_values:
            return {}
        new = await find_new(self._table, other_values)
        if not isinstance(new, set):
            return _outcomes(new, [row for row in request if row.call.id in other_values])
        whole = self._builder.build_whole(row for row in request if row.call.id in new)
        return await send_in_order(group_into_requests(whole), self._upsert)

    async def _confirm(self, request: Sequence[CallRows], written: Sequence[Row]) -> dict[str, Outcome]:
        """Return the outcomes of a request that the database accepted: a trigger may have kept old rows."""
        versions = {row.call.id: row.call.version for row in request}
        failures, newer = await find_unwritten(self._table, versions, written)
        outcomes = {id_: build_outcome(failures.get(id_), remote_id=id_, calls=1) for id_ in versions}
        return outcomes | {id_: Delivered(remote_id=id_, newer_version=newer[id_]) for id_ in newer}


def _outdated(stored: int, row: TableRow) -> Outcome:
    return Outdated(message=f"the row has version {stored}, and {row.delivered_version} was delivered")


def _outcomes(failure: ApiFailure | None, request: Sequence[CallRows]) -> dict[str, Outcome]:
    if isinstance(failure, ApiError) and len(request) == 1:
        failure = name_columns(failure, request[0].encoded)
    return {row.call.id: build_outcome(failure, remote_id=row.call.id, calls=len(request)) for row in request}
