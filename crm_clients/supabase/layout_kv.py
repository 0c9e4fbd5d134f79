"""The layout `kv`: the mission's CRM, with one JSON value per call under a key of its own.

The API can only replace a whole value. So the client reads the existing value first and keeps every
key that it has nothing new for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from crm_clients.base import Context, Delivered, Outcome, Push, Retraction
from crm_clients.batch import mark_existed
from crm_clients.supabase.batches import (
    build_outcome,
    encode_json,
    group_into_requests,
    request_body,
    send_in_order,
)
from crm_clients.supabase.customers import Customer, Customers
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.kv_reading import KvReader, Records
from crm_clients.supabase.kv_rows import COLUMNS, KvRows, Values, rows_of
from crm_clients.supabase.record import UNKNOWN_ID, UNKNOWN_NAME, RecordMapper
from crm_clients.supabase.rest import Row, Table, Upserted
from crm_clients.supabase.sample import SAMPLE_CALL
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.sql import MERGED_INTO, kv_sql
from crm_clients.supabase.tasks import Tasks
from crm_clients.supabase.unchanged import find_unchanged, find_unwritten_value
from relay.call import Call, known_fields
from relay.standards.phones import is_dialable


class KvLayout:
    """Reads the records, and writes those that change."""

    columns = COLUMNS
    merge_columns: tuple[str, ...] = ()

    def __init__(self, settings: SupabaseSettings, table: Table, context: Context) -> None:
        self._settings = settings
        self._table = table
        self._mapper = RecordMapper(settings.mapping, settings.constants, settings.label)
        self._customers = Customers(table, context.region)
        self._tasks = Tasks(table, context, self._write_all)
        self._reader = KvReader(
            table, settings.kv_prefix, self._mapper, self._record_over, self._find_outdated_tasks
        )

    def sql(self, schema: str) -> str:
        """Return the SQL that creates the table if the CRM has not."""
        return kv_sql(self._settings.table, schema, self.row_of(SAMPLE_CALL))

    def row_of(self, call: Call) -> Row:
        """Return the row with the whole record of a call."""
        return {"key": self._key(call), "value": self._mapper.build(call)}

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Read and write the calls with one request each, or only read if nothing changes. Then the tasks."""
        calls = [push.call for push in pushes]
        customers = await self._find_customers(calls)
        if isinstance(customers, ApiError | Outcome):
            return self._outcomes(customers, calls)
        # The values are read last: what a person writes between the read and the write is overwritten.
        existing = await self._read([self._key(call) for call in calls])
        if isinstance(existing, ApiError | Outcome):
            return self._outcomes(existing, calls)
        records = {push.call.id: self._build_record(push, existing, customers) for push in pushes}
        built = [rows_of(call, {self._key(call): records[call.id]}, existing) for call in calls]
        changed = [rows for rows in built if rows.count > 0]
        outcomes = self._outcomes(None, calls) | await self._write_all(changed, existing)
        if self._settings.tasks:
            written = [push for push in pushes if isinstance(outcomes[push.call.id], Delivered)]
            by_call = {id_: self._customer_of(record) for id_, record in records.items()}
            outcomes |= await self._tasks.update(written, by_call)
        first = (push.call for push in pushes if push.first)
        return mark_existed(outcomes, (call.id for call in first if self._key(call) in existing))

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark or delete the records. Open tasks are deleted in both cases."""
        calls = [retraction.call for retraction in retractions]
        failures = await self._tasks.remove(calls, touched=False) if self._settings.tasks else {}
        remaining = [call for call in calls if call.id not in failures]
        return failures | await (self._mark(remaining) if mark else self._delete_records(remaining))

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete records and tasks, even if people changed them, and drop the customers from memory."""
        self._customers.clear()
        calls = [retraction.call for retraction in retractions]
        failures = await self._tasks.remove(calls, touched=True)
        remaining = [call for call in calls if call.id not in failures]
        return failures | await self._delete_records(remaining)

    async def read(self, pushes: Sequence[Push]) -> Records | ApiFailure:
        """Return the records of the calls and their doubles, compared. They have no version."""
        return await self._reader.read(pushes)

    # --- reading ----------------------------------------------------------------------------------

    def _key(self, call: Call) -> str:
        return self._settings.kv_prefix + call.id

    async def _read(self, keys: Sequence[str]) -> Values | ApiFailure:
        rows = await self._table.select(keys, COLUMNS)
        return {row["key"]: row["value"] for row in rows} if isinstance(rows, list) else rows

    async def _find_customers(self, calls: Sequence[Call]) -> Mapping[str, Customer] | ApiFailure:
        if not self._settings.match_clients:
            return {}
        numbers = {call.external_number for call in calls if call.external_number}
        return await self._customers.find_by_number(set(filter(is_dialable, numbers)))

    # --- building ---------------------------------------------------------------------------------

    def _record_over(self, push: Push, existing: Values) -> Mapping[str, Any]:
        """Return the record that a later push would write over the existing one, without a search for its
        customer: people may have added the customer, or changed the link, since.
        """
        later = msgspec.structs.replace(push, first=False, rewrite=False)
        record = self._build_record(later, existing, {})
        decoded: dict[str, Any] = msgspec.json.decode(encode_json(record))
        return decoded

    async def _find_outdated_tasks(self, pushes: Sequence[Push]) -> set[str] | ApiFailure:
        return await self._tasks.find_outdated(pushes) if self._settings.tasks else set()

    def _build_record(self, push: Push, values: Values, customers: Mapping[str, Customer]) -> dict[str, Any]:
        """Build the record of a call over the existing one."""
        existing = _object_at(values, self._key(push.call))
        record = self._mapper.build(push.call)
        known = known_fields(push.call) if push.partial else None
        merged = self._mapper.merge(
            existing, record, push.changed, first=push.first, known=known, rewrite=push.rewrite
        )
        if not self._settings.match_clients:
            return merged
        return merged | self._customer_fields(push.call, existing, customers)

    def _customer_fields(
        self, call: Call, existing: Mapping[str, Any] | None, customers: Mapping[str, Customer]
    ) -> dict[str, Any]:
        """Return id and name of the CRM's customer. A customer that a person chose stays."""
        if existing is not None and not self._is_customer_of_relay(call, existing):
            return {key: existing[key] for key in self._mapper.customer_keys if key and key in existing}
        customer = customers.get(call.external_number or "")
        if customer is None:
            return {}
        fields = zip(self._mapper.customer_keys, (customer.id, customer.name), strict=True)
        return {key: value for key, value in fields if key}

    def _is_customer_of_relay(self, call: Call, existing: Mapping[str, Any]) -> bool:
        """Whether the record's customer is unknown, or CloudTalk's contact of this or the last version."""
        data = existing.get(self._settings.mapping.get("cloudtalk_data", ""))
        last = data if isinstance(data, dict) else {}
        ids = {UNKNOWN_ID, call.contact_id, _as_text(last.get("contact_id"))}
        names = {UNKNOWN_NAME, call.contact_name, _as_text(last.get("contact_name"))}
        id_, name = self._customer_of(existing)
        return _as_text(id_) in ids | {None} and _as_text(name) in names | {None}

    def _customer_of(self, record: Mapping[str, Any]) -> tuple[Any, Any]:
        id_key, name_key = self._mapper.customer_keys
        return record.get(id_key or "", UNKNOWN_ID), record.get(name_key or "", UNKNOWN_NAME)

    # --- writing ----------------------------------------------------------------------------------

    async def _write_all(self, rows: Iterable[KvRows], existing: Values) -> dict[str, Outcome]:
        return await send_in_order(group_into_requests(rows), partial(self._write, existing))

    async def _write(self, existing: Values, request: Sequence[KvRows]) -> dict[str, Outcome]:
        result = await self._table.upsert(request_body(request), COLUMNS)
        if not isinstance(result, Upserted):
            return self._outcomes(result, [rows.call for rows in request])
        stored = {row["key"]: row["value"] for row in result.rows}
        return {
            rows.call.id: self._outcome(rows.call, find_unwritten_value(rows.values, existing, stored))
            for rows in request
        }

    def _outcomes(self, failure: ApiFailure | None, calls: Sequence[Call]) -> dict[str, Outcome]:
        return {
            call.id: build_outcome(failure, remote_id=self._key(call), calls=len(calls)) for call in calls
        }

    # --- removing ---------------------------------------------------------------------------------

    async def _mark(self, calls: Sequence[Call]) -> dict[str, Outcome]:
        existing = await self._read([self._key(call) for call in calls])
        if isinstance(existing, ApiError | Outcome):
            return self._outcomes(existing, calls)
        marked = [
            rows_of(call, {key: {**record, MERGED_INTO: call.merged_into}}, existing)
            for call in calls
            if (record := _object_at(existing, key := self._key(call))) is not None
        ]
        absent = await self._outcomes_of_removal(calls, existing)
        changed = [rows for rows in marked if rows.count > 0]
        return absent | await self._write_all(changed, existing)

    async def _delete_records(self, calls: Sequence[Call]) -> dict[str, Outcome]:
        deleted = await self._table.delete(map(self._key, calls))
        if isinstance(deleted, set):
            return await self._outcomes_of_removal(calls, deleted)
        return {call.id: self._outcome(call, deleted) for call in calls}

    async def _outcomes_of_removal(
        self, calls: Sequence[Call], changed: Collection[str]
    ) -> dict[str, Outcome]:
        """Return the outcomes after the rows with the keys `changed` were removed or found."""
        rows = {key: self.row_of(call) for call in calls if (key := self._key(call)) not in changed}
        failures = await find_unchanged(self._table, rows)
        return {call.id: self._outcome(call, failures.get(self._key(call))) for call in calls}

    def _outcome(self, call: Call, failure: ApiFailure | None) -> Outcome:
        """Return the outcome of one call. Never Split: the failure of a removal concerns no other record."""
        return build_outcome(failure, remote_id=self._key(call), calls=1)


def _object_at(values: Values, key: str) -> Mapping[str, Any] | None:
    """Return the record under a key. A value that is not an object is treated as absent."""
    value = values.get(key)
    return value if isinstance(value, dict) else None


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)
