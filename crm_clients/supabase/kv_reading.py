"""Read records of the layout `kv`, and compare them with what the client would write."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from crm_clients.base import Push, Stored
from crm_clients.comparison import is_same, other_ids
from crm_clients.supabase.errors import ApiFailure
from crm_clients.supabase.kv_rows import COLUMNS, Values
from crm_clients.supabase.record import RecordMapper
from crm_clients.supabase.rest import Table
from crm_clients.supabase.shorten import is_left_out
from crm_clients.supabase.sql import MERGED_INTO

Records = dict[str, list[Stored]]
"""The record of each call and its doubles, by call id."""

Build = Callable[[Push, Values], Mapping[str, Any]]
"""Returns the record that the client would write over the existing values."""

FindTasks = Callable[[Sequence[Push]], Awaitable[set[str] | ApiFailure]]
"""Returns the ids of the calls whose task should be completed."""

_UNMERGED: Final = {f"value->>{MERGED_INTO}": "is.null"}
"""The record of a call that became part of this one is marked with `on_merge = "mark"`: no double."""

_CALLS_AT_ONCE: Final = 100
"""Their whole records are in memory at the same time."""


class KvReader:
    """Reads records by their keys. `prefix`: of a call's key, before its id."""

    def __init__(
        self,
        table: Table,
        prefix: str,
        mapper: RecordMapper,
        build: Build,
        find_tasks: FindTasks,
    ) -> None:
        self._table = table
        self._prefix = prefix
        self._mapper = mapper
        self._build = build
        self._find_tasks = find_tasks

    async def _find(self, pushes: Sequence[Push]) -> Records | ApiFailure:
        """Return which calls have a record, without comparing it."""
        keys = await self._table.existing(self._prefix + push.call.id for push in pushes)
        if not isinstance(keys, set):
            return keys
        own = {push.call.id: self._prefix + push.call.id for push in pushes}
        return {id_: [Stored(key)] for id_, key in own.items() if key in keys}

    async def read(self, pushes: Sequence[Push]) -> Records | ApiFailure:
        """Return the records of the calls and their doubles, compared with what the client would write."""
        if not any(push.changed for push in pushes):
            return await self._find(pushes)
        known = {self._prefix + push.call.id for push in pushes}
        records: Records = {}
        for start in range(0, len(pushes), _CALLS_AT_ONCE):
            part = pushes[start : start + _CALLS_AT_ONCE]
            rows = await self._table.select([self._prefix + push.call.id for push in part], COLUMNS)
            if not isinstance(rows, list):
                return rows
            outdated = await self._find_tasks(part)
            if not isinstance(outdated, set):
                return outdated
            others = {key for push in part for key in self._other_keys(push)} - known
            doubles = await self._table.existing(sorted(others), **_UNMERGED)
            if not isinstance(doubles, set):
                return doubles
            values = {row["key"]: row["value"] for row in rows}
            found = [push for push in part if self._prefix + push.call.id in values]
            records |= {push.call.id: self._records(push, values, doubles, outdated) for push in found}
        return records

    def _other_keys(self, push: Push) -> list[str]:
        """Return the keys of possible doubles."""
        return [self._prefix + id_ for id_ in other_ids(push.call)] if push.changed else []

    def _records(
        self, push: Push, values: Values, doubles: Collection[str], outdated: Collection[str]
    ) -> list[Stored]:
        """`outdated`: the calls whose task should be completed. People delete tasks: none is right."""
        key = self._prefix + push.call.id
        different = self._different_fields(self._build(push, values), values[key]) & push.changed
        if push.call.id in outdated:
            different |= {"follow_up"}
        others = (other for other in self._other_keys(push) if other in doubles)
        return [Stored(key, None, different), *map(Stored, others)]

    def _different_fields(self, written: Values, existing: Any) -> frozenset[str]:
        """A value that is no object is a record without keys."""
        stored = existing if isinstance(existing, dict) else {}
        return frozenset(
            field
            for key, value in written.items()
            if not is_same(value, stored.get(key))
            for field in self._mapper.fields_of(key)
            if not is_left_out(field, stored.get(key))
        )
