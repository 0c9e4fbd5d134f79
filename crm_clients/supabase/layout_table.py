"""The layout `table`: one row per call, a column per field."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from crm_clients.base import Outcome, Push, Retraction
from crm_clients.settings import STATE
from crm_clients.supabase.batches import Row, body, encode, outcome, requests, send
from crm_clients.supabase.errors import ApiError
from crm_clients.supabase.rest import ApiFailure, Table, Upserted
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.sql import MARK, table_sql
from relay.call import DELIVERED_FIELDS, FIELDS, Call

_SOURCES: Final = {STATE: "status"}
_ATTRIBUTES: Final = {**dict(zip(FIELDS, Call.__struct_fields__, strict=True)), STATE: "status"}
_ALWAYS: Final = frozenset({"id", "version"})
_ALL: Final = frozenset(DELIVERED_FIELDS)
_INSERT_REFUSED: Final = frozenset({"23502", "23514"})
"""Not null and check: PostgreSQL holds them to the row that an upsert would insert, also where it updates
one that is there (PostgreSQL, INSERT, "ON CONFLICT")."""

_NO_SUCH_COLUMN: Final = "42703"


class TableLayout:
    """Upserts that name the changed columns only, and see that no row stays partly written."""

    def __init__(self, settings: SupabaseSettings, table: Table) -> None:
        self._settings = settings
        self._table = table
        self._places = settings.places
        self._whole = (*(column for _, column in self._columns(_ALL)), *settings.constants)
        self._torn: set[str] = set()
        """Rows that a push of changes has inserted: a person had deleted them."""
        self._doubted: set[str] = set()
        """Rows among which there are some, and nobody could look which."""
        self._only_updates = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the relay writes."""
        return self._whole

    @property
    def columns_of_marks(self) -> tuple[str, ...]:
        """The column that only a mark is written to."""
        return (MARK,)

    def sql(self, schema: str) -> str:
        """The SQL that makes the table."""
        return table_sql(self._settings.table, schema, self._places, self._settings.constants)

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Bring them in as few requests as their columns allow."""
        ids = [push.call.id for push in pushes]
        if doubted := self._doubted.intersection(ids):
            trouble = await self._look_for_torn(sorted(doubted))
            if trouble is not None:
                return {id_: outcome(trouble, remote_id=id_, calls=len(ids)) for id_ in ids}
        return await send(requests(map(self._row, pushes)), self._write)

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark each row, or delete all in one request."""
        if not mark:
            return await self.forget(retractions)
        marked = {}
        for retraction in retractions:
            call = retraction.call
            written = await self._table.update(call.id, encode(self._mark(call)))
            trouble = None if isinstance(written, bool) else written
            marked[call.id] = outcome(trouble, remote_id=call.id, calls=1)
        return marked

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete these rows."""
        ids = [retraction.call.id for retraction in retractions]
        trouble = await self._table.delete(ids)
        return {id_: outcome(trouble, remote_id=id_, calls=1) for id_ in ids}

    async def present(self, calls: Sequence[Call]) -> set[str] | ApiFailure:
        """The ids of those calls that there is a row of."""
        found = await self._table.rows([call.id for call in calls], [self._table.key])
        return {str(row[self._table.key]) for row in found} if isinstance(found, list) else found

    # --- calls to rows ----------------------------------------------------------------------------

    def _row(self, push: Push) -> Row:
        return self._row_of(push.call, _ALL if push.call.id in self._torn else push.changed)

    def _row_of(self, call: Call, fields: Collection[str]) -> Row:
        values = self._values(call, fields)
        return Row(call, tuple(values), encode(values))

    def _values(self, call: Call, fields: Collection[str]) -> dict[str, Any]:
        """What these fields say, by column. Constants are said once, with the whole row: people may change
        them.
        """
        said = {column: self._value(field, call) for field, column in self._columns(fields)}
        return said | self._settings.constants if _ALL.issubset(fields) else said

    def _columns(self, fields: Collection[str]) -> list[tuple[str, str]]:
        return [
            (field, column)
            for field, column in self._places.items()
            if field in _ALWAYS or _SOURCES.get(field, field) in fields
        ]

    def _value(self, field: str, call: Call) -> Any:
        """`status` is the label that people read, `state` the word for machines."""
        if field == "status":
            return self._settings.label(call.status)
        return getattr(call, _ATTRIBUTES[field])

    def _mark(self, call: Call) -> dict[str, Any]:
        version = self._places.get("version")
        return {MARK: call.merged_into, **({version: call.version} if version else {})}

    # --- rows to the table ------------------------------------------------------------------------

    async def _write(self, rows: Sequence[Row]) -> dict[str, Outcome]:
        whole = rows[0].columns == self._whole
        if self._only_updates and not whole:
            return await send([[row] for row in rows], self._update)
        answer = await self._table.upsert(body(rows))
        if isinstance(answer, Upserted):
            if answer.inserted and not whole:
                return await self._made_whole(rows)
            self._torn.difference_update(row.call.id for row in rows)
            return _outcomes(None, rows)
        if not whole and len(rows) == 1 and isinstance(answer, ApiError) and answer.code in _INSERT_REFUSED:
            return await self._update(rows)
        return _outcomes(answer, rows)

    async def _update(self, rows: Sequence[Row]) -> dict[str, Outcome]:
        """One row, by an update, which the table's constraints hold to what it becomes."""
        (row,) = rows
        written = await self._table.update(row.call.id, row.encoded)
        if not isinstance(written, bool):
            return _outcomes(written, rows)
        if written:
            self._only_updates = True
            return _outcomes(None, rows)
        return await self._write([self._row_of(row.call, _ALL)])

    async def _made_whole(self, rows: Sequence[Row]) -> dict[str, Outcome]:
        """Write those whole that were not there; a person may have written in the others."""
        trouble = await self._look_for_torn([row.call.id for row in rows])
        if trouble is not None:
            return _outcomes(trouble, rows)
        torn = [self._row_of(row.call, _ALL) for row in rows if row.call.id in self._torn]
        return _outcomes(None, rows) | await send(requests(torn), self._write)

    async def _look_for_torn(self, ids: Sequence[str]) -> ApiFailure | None:
        """Of rows that one upsert wrote, `xmax` is 0 in those alone that it inserted: a row that is there
        is locked before it is updated (PostgreSQL, "System Columns").
        """
        found = await self._table.rows(ids, [self._table.key, "xmax"])
        if isinstance(found, ApiError) and found.code == _NO_SUCH_COLUMN:
            found = []  # a view has none: there it cannot be known
        if not isinstance(found, list):
            self._doubted.update(ids)
            return found
        self._doubted.difference_update(ids)
        self._torn.update(str(row[self._table.key]) for row in found if int(row["xmax"]) == 0)
        return None


def _outcomes(trouble: ApiFailure | None, rows: Sequence[Row]) -> dict[str, Outcome]:
    return {row.call.id: outcome(trouble, remote_id=row.call.id, calls=len(rows)) for row in rows}
