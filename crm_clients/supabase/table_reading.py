"""Read rows of the layout `table`, and compare them with what the client would write."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from crm_clients.base import Push, Stored
from crm_clients.comparison import IDENTITY_FIELDS, is_same
from crm_clients.supabase.batches import encode_json
from crm_clients.supabase.errors import ApiError, ApiFailure, Cause, cause_of
from crm_clients.supabase.rest import Row, Table
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.shorten import is_left_out
from crm_clients.supabase.sql import MERGED_INTO
from crm_clients.supabase.table_rows import SOURCES, RowBuilder
from crm_clients.supabase.unchanged import version_of

Records = dict[str, list[Stored]]
"""The record of each call and its doubles, by call id."""

_CALLS_AT_ONCE: Final = 100
"""Their whole rows are in memory at the same time."""


class TableReader:
    """Reads the rows of calls, with the columns that are to be compared."""

    def __init__(self, settings: SupabaseSettings, table: Table, builder: RowBuilder) -> None:
        self._table = table
        self._builder = builder
        self._identities = {settings.mapping[f]: f for f in IDENTITY_FIELDS if f in settings.mapping}
        self._unmerged = {MERGED_INTO: "is.null"} if settings.on_merge == "mark" else {}

    async def read(self, pushes: Sequence[Push]) -> Records | ApiFailure:
        """Return the rows of the calls and their doubles. The columns of `Push.changed` are compared."""
        known = {push.call.id for push in pushes}
        records: Records = {}
        for start in range(0, len(pushes), _CALLS_AT_ONCE):
            part = pushes[start : start + _CALLS_AT_ONCE]
            found = await self._read_rows(part)
            if not isinstance(found, dict):
                return found
            compared = [push for push in part if push.changed and push.call.id in found]
            doubles = await self._find_doubles(compared, known)
            if not isinstance(doubles, dict):
                return doubles
            records |= {id_: [stored, *doubles.get(id_, ())] for id_, stored in found.items()}
        return records

    async def _read_rows(self, pushes: Collection[Push]) -> dict[str, Stored] | ApiFailure:
        fields = frozenset[str]().union(*(push.changed for push in pushes))
        columns = dict.fromkeys(self._table.identity)
        columns |= dict.fromkeys(column for _, column in self._builder.columns_of(fields) if fields)
        rows = await self._table.select([push.call.id for push in pushes], [*columns])
        if not isinstance(rows, list):
            return rows
        by_key = {row[self._table.key]: row for row in rows}
        return {
            push.call.id: self._compare(push, row) for push in pushes if (row := by_key.get(push.call.id))
        }

    def _compare(self, push: Push, row: Row) -> Stored:
        values = msgspec.json.decode(encode_json(self._builder.values_of(push.call, push.changed)))
        different = {
            SOURCES.get(field, field)
            for field, column in self._builder.columns_of(push.changed)
            if column not in self._table.identity
            and not is_same(values[column], row[column])
            and not is_left_out(field, row[column])
        }
        return Stored(row[self._table.key], version_of(self._table, row), frozenset(different))

    async def _find_doubles(self, pushes: Collection[Push], known: Collection[str]) -> Records | ApiFailure:
        """Return rows of another id with the `call_id` or `call_uuid` of a call. Marked rows are none."""
        doubles = defaultdict[str, dict[str, Stored]](dict)
        for column, field in self._identities.items():
            owners = {value: p.call.id for p in pushes if (value := self._builder.value_of(field, p.call))}
            rows = await self._select_by(column, owners)
            if not isinstance(rows, list):
                return rows
            for row in rows:
                key, owner = str(row[self._table.key]), owners.get(str(row[column]))
                if owner is not None and key not in known:
                    doubles[owner][key] = Stored(key, version_of(self._table, row))
        return {id_: list(found.values()) for id_, found in doubles.items()}

    async def _select_by(self, column: str, values: Iterable[str]) -> list[Row] | ApiFailure:
        """A value that the column cannot hold has no row, and the API refuses the whole request for it."""
        values = list(values)
        columns = dict.fromkeys([*self._table.identity, column])
        rows = await self._table.select(values, [*columns], column=column, **self._unmerged)
        if not isinstance(rows, ApiError) or cause_of(rows) is not Cause.RECORD:
            return rows
        if len(values) == 1:
            return []
        found: list[Row] = []
        for value in values:
            row = await self._select_by(column, [value])
            if not isinstance(row, list):
                return row
            found += row
        return found
