"""The layout `kv`: the mission's CRM, a JSON value per call under a key of its own.

A value is only ever replaced whole, so what is there is read first, and everything in it that the
relay has nothing new to say of is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Context, Outcome, Push, Retraction
from crm_clients.supabase import tasks
from crm_clients.supabase.batches import Row, body, encode, outcome, requests, send
from crm_clients.supabase.customers import Customer, Customers
from crm_clients.supabase.errors import ApiError
from crm_clients.supabase.record import UNKNOWN_ID, UNKNOWN_NAME, RecordMapper
from crm_clients.supabase.rest import ApiFailure, Table, Upserted
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.sql import MARK, kv_sql
from relay.call import Call

_COLUMNS: Final = ("key", "value")

Values = Mapping[str, Any]
"""What is there, by key; keys that are not there are missing."""


class KvLayout:
    """Reads records, and writes those in which something changes."""

    columns = _COLUMNS
    columns_of_marks: tuple[str, ...] = ()

    def __init__(self, settings: SupabaseSettings, table: Table, context: Context) -> None:
        self._settings = settings
        self._table = table
        self._timezone = context.timezone
        self._shape = RecordMapper(settings.places, settings.constants, settings.label)
        self._customers = Customers(table, context.region)

    def sql(self, schema: str) -> str:
        """The SQL that makes the table, where the CRM has not made it."""
        return kv_sql(self._settings.table, schema)

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Bring them in two requests, one to read and one to write; in one, where nothing changes."""
        calls = [push.call for push in pushes]
        customers = await self._matching(calls)
        if isinstance(customers, ApiError | Outcome):
            return self._outcomes(customers, calls)
        # Last of all, so that little time is left for a person to write something that we overwrite.
        there = await self._read([key for push in pushes for key in self._keys(push)])
        if isinstance(there, ApiError | Outcome):
            return self._outcomes(there, calls)
        rows = [self._row(push, there, customers) for push in pushes]
        return self._outcomes(None, calls) | await send(requests(filter(_writes, rows)), self._write)

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark these records, or delete them; a task that is still to be done goes in either case."""
        calls = [retraction.call for retraction in retractions]
        if self._settings.tasks:
            due = {"value->>estado": f"eq.{tasks.PENDING}"}
            trouble = await self._table.delete([tasks.PREFIX + call.id for call in calls], **due)
            if trouble is not None:
                return self._taken_back(trouble, calls)
        if mark:
            return await self._mark(calls)
        return self._taken_back(await self._table.delete(map(self._key, calls)), calls)

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete records and tasks, whatever people made of them, and read the clients anew."""
        self._customers.forget()
        calls = [retraction.call for retraction in retractions]
        keys = [key for call in calls for key in (self._key(call), tasks.PREFIX + call.id)]
        return self._taken_back(await self._table.delete(keys), calls)

    async def present(self, calls: Sequence[Call]) -> set[str] | ApiFailure:
        """The ids of those calls that there is a record of."""
        found = await self._table.rows(map(self._key, calls), ["key"])
        if not isinstance(found, list):
            return found
        there = {row["key"] for row in found}
        return {call.id for call in calls if self._key(call) in there}

    # --- reading ----------------------------------------------------------------------------------

    def _key(self, call: Call) -> str:
        return self._settings.kv_prefix + call.id

    def _keys(self, push: Push) -> list[str]:
        task = [tasks.PREFIX + push.call.id] if self._settings.tasks and tasks.concerns(push) else []
        return [self._key(push.call), *task]

    async def _read(self, keys: Sequence[str]) -> Values | ApiFailure:
        found = await self._table.rows(keys, _COLUMNS)
        return {row["key"]: row["value"] for row in found} if isinstance(found, list) else found

    async def _matching(self, calls: Sequence[Call]) -> Mapping[str, Customer] | ApiFailure:
        if not self._settings.match_clients:
            return {}
        return await self._customers.by_number(
            {call.external_number for call in calls if call.external_number}
        )

    # --- merging ----------------------------------------------------------------------------------

    def _row(self, push: Push, there: Values, customers: Mapping[str, Customer]) -> Row:
        """What the call writes: its record and its task, those of the two in which something changes."""
        record = self._record(push, _object(there, self._key(push.call)), customers)
        said = {self._key(push.call): record}
        if self._settings.tasks and tasks.concerns(push):
            key = tasks.PREFIX + push.call.id
            task = tasks.change(push.call, there.get(key), self._client_in(record), self._timezone)
            said |= {key: task} if task else {}
        encoded = [
            encode({"key": key, "value": value})
            for key, value in said.items()
            if msgspec.json.decode(encode(value)) != there.get(key)
        ]
        return Row(push.call, _COLUMNS, b",".join(encoded), len(encoded))

    def _record(
        self, push: Push, there: Mapping[str, Any] | None, customers: Mapping[str, Customer]
    ) -> dict[str, Any]:
        ours = self._shape.record(push.call)
        merged = self._shape.merged(there, ours, None if push.first else push.changed)
        if not self._settings.match_clients:
            return merged
        return merged | self._client_for(push.call, there, customers)

    def _client_for(
        self, call: Call, there: Mapping[str, Any] | None, customers: Mapping[str, Customer]
    ) -> dict[str, Any]:
        """The CRM's own client; in the place of one that a person chose, that one stays."""
        if there is not None and not self._is_ours(call, there):
            return {key: there[key] for key in self._shape.client_keys if key and key in there}
        customer = customers.get(call.external_number or "")
        if customer is None:
            return {}
        named = zip(self._shape.client_keys, (customer.id, customer.name), strict=True)
        return {key: value for key, value in named if key}

    def _is_ours(self, call: Call, there: Mapping[str, Any]) -> bool:
        """Whether what stands there is nobody, or CloudTalk's own contact now or when it was written."""
        data = there.get(self._settings.places.get("cloudtalk_data", ""))
        before = data if isinstance(data, dict) else {}
        ids = {UNKNOWN_ID, call.contact_id, _text(before.get("contact_id"))}
        names = {UNKNOWN_NAME, call.contact_name, _text(before.get("contact_name"))}
        id_, name = self._client_in(there)
        return _text(id_) in ids | {None} and _text(name) in names | {None}

    def _client_in(self, record: Mapping[str, Any]) -> tuple[Any, Any]:
        id_key, name_key = self._shape.client_keys
        return record.get(id_key or "", UNKNOWN_ID), record.get(name_key or "", UNKNOWN_NAME)

    # --- writing ----------------------------------------------------------------------------------

    async def _write(self, rows: Sequence[Row]) -> dict[str, Outcome]:
        answer = await self._table.upsert(body(rows))
        trouble = None if isinstance(answer, Upserted) else answer
        return self._outcomes(trouble, [row.call for row in rows])

    async def _mark(self, calls: Sequence[Call]) -> dict[str, Outcome]:
        there = await self._read([self._key(call) for call in calls])
        if isinstance(there, ApiError | Outcome):
            return self._outcomes(there, calls)
        rows = [
            Row(call, _COLUMNS, encode({"key": key, "value": {**record, MARK: call.merged_into}}))
            for call in calls
            if (record := _object(there, key := self._key(call))) is not None
        ]
        return self._outcomes(None, calls) | await send(requests(rows), self._write)

    def _taken_back(self, trouble: ApiFailure | None, calls: Sequence[Call]) -> dict[str, Outcome]:
        """Each as if alone: a deletion cannot be spoilt by one of its records."""
        return {call.id: outcome(trouble, remote_id=self._key(call), calls=1) for call in calls}

    def _outcomes(self, trouble: ApiFailure | None, calls: Sequence[Call]) -> dict[str, Outcome]:
        return {call.id: outcome(trouble, remote_id=self._key(call), calls=len(calls)) for call in calls}


def _object(there: Values, key: str) -> Mapping[str, Any] | None:
    """A record; what is none, as a person's text in its place, is as good as not there."""
    value = there.get(key)
    return value if isinstance(value, dict) else None


def _writes(row: Row) -> bool:
    return row.rows > 0


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
