"""Follow-up tasks in the layout `kv`: one `tarea:` value for each customer and day with missed calls."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Context, Delivered, Outcome, Push
from crm_clients.follow_up_tasks import (
    DELETED,
    MissedOnce,
    TaskState,
    TaskStates,
    group_by_key,
    missed_by_id,
)
from crm_clients.locks import KeyedLock
from crm_clients.supabase.batches import build_outcome
from crm_clients.supabase.errors import ApiFailure
from crm_clients.supabase.kv_rows import COLUMNS, Values, WriteRows, rows_of
from crm_clients.supabase.rest import Table
from crm_clients.supabase.task_values import (
    DONE_STATUS,
    OPEN_STATUS,
    PREFIX,
    STATUS,
    build_task,
    completed_task,
    digests_after,
    digests_of,
    is_completed_as_written,
    is_untouched,
    refreshed_task,
)
from crm_clients.supabase.unchanged import find_kept
from relay.call import Call

_IS_OPEN: Final = {"value->>estado": f"eq.{OPEN_STATUS}"}

Customer = tuple[Any, Any]
"""Id and name of a customer, as in the record of a call."""

Calls = Mapping[str, Mapping[str, Call]]
"""By the key of their task, and then by id."""


class Change(msgspec.Struct, frozen=True):
    """The new state of a task, and the value to write; None if the value stays as it is."""

    state: TaskState
    value: dict[str, Any] | None = None


Changes = Mapping[str, Change]
"""By the key of the task."""


def may_change_task(push: Push) -> bool:
    """Whether this push may create or complete a task.

    A push of other fields, as a recording, must not restore a task that a person deleted.
    """
    return not {"follow_up", "external_number"}.isdisjoint(push.changed)


class Tasks:
    """The tasks of one table. What happens to one task happens one after the other."""

    def __init__(self, table: Table, context: Context, write: WriteRows) -> None:
        self._table = table
        self._timezone = context.timezone
        self._rules = context.follow_up
        self._states = TaskStates(context.state)
        self._write_rows = write
        self._locks = KeyedLock()

    async def update(self, pushes: Sequence[Push], customers: Mapping[str, Customer]) -> dict[str, Outcome]:
        """Create tasks of missed calls, add calls to them, and complete tasks that nobody needs any more.

        `customers`: by call id. Returns by call id why that failed.
        """
        by_key = self._group(push.call for push in pushes if may_change_task(push))
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            keys = [k for k, calls in by_key.items() if k in stored or self._missed(calls.values())]
            ids = {id_: None for key in keys for id_ in _possible_ids(stored.get(key), by_key[key])}
            existing = await self._read(ids)
            if not isinstance(existing, Mapping):
                return _by_call(dict.fromkeys(keys, _failed(existing, len(keys))), by_key)
            changes = {
                key: self._change(by_key[key].values(), stored.get(key), existing, customers) for key in keys
            }
            failed = await self._store(changes, by_key, existing)
        return _by_call(failed, by_key)

    async def remove(self, calls: Sequence[Call], *, touched: bool) -> dict[str, Outcome]:
        """Delete the tasks that are for these calls alone, and remove the calls from other tasks.

        `touched`: also tasks that are not open any more. Returns by call id why that failed.
        """
        by_key = self._group(calls)
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            ids = {key: _ids_to_delete(stored.get(key), of_key.keys()) for key, of_key in by_key.items()}
            failed = await self._delete(ids, touched=touched)
            after = {
                key: state.forget(by_key[key].keys()) for key, state in stored.items() if key not in failed
            }
            await self._states.delete_many([key for key, state in after.items() if not state.missed])
            shared = {key: state for key, state in after.items() if state.missed and state != stored[key]}
            existing = await self._read(state.id for state in shared.values())
            if not isinstance(existing, Mapping):
                failed |= dict.fromkeys(shared, _failed(existing, len(shared)))
                return _by_call(failed, by_key)
            changes = {
                key: self._adjust(state, by_key[key].values(), existing) for key, state in shared.items()
            }
            failed |= await self._store(changes, by_key, existing)
        return _by_call(failed, by_key)

    async def find_outdated(self, pushes: Sequence[Push]) -> set[str] | ApiFailure:
        """Return the ids of the calls whose task nobody has changed and nobody needs any more, by reading."""
        done = [p.call for p in pushes if may_change_task(p) and not p.call.follow_up]
        by_key = self._group(done)
        stored = await self._states.get_many(by_key)
        settled = {key: state.settle(by_key[key].values()) for key, state in stored.items()}
        unneeded = {key: state for key, state in settled.items() if not state.calls}
        existing = await self._read(state.id for state in unneeded.values())
        if not isinstance(existing, Mapping):
            return existing
        outdated = [
            k for k, state in unneeded.items() if is_untouched(state, existing.get(PREFIX + state.id))
        ]
        return {id_ for key in outdated for id_ in by_key[key] if id_ in stored[key].missed}

    def _group(self, calls: Iterable[Call]) -> dict[str, dict[str, Call]]:
        return group_by_key(calls, self._timezone, self._rules)

    def _missed(self, calls: Iterable[Call]) -> list[Call]:
        return [call for call in calls if self._rules.needs_task(call)]

    # --- what changes ---------------------------------------------------------------------------

    def _change(
        self,
        calls: Iterable[Call],
        state: TaskState | None,
        existing: Values,
        customers: Mapping[str, Customer],
    ) -> Change:
        missed = self._missed(calls)
        joined = self._join(state, missed_by_id(missed, self._rules), calls, existing)
        if joined.id:
            return self._adjust(joined, calls, existing)
        waiting = sorted(
            (call for call in missed if call.id in joined.calls), key=lambda c: joined.missed[c.id].began_at
        )
        # If an earlier response was lost, one of the calls has named the task already.
        named = next((call for call in waiting if PREFIX + call.id in existing), waiting[0])
        new = msgspec.structs.replace(joined, id=named.id)
        value = build_task(new, waiting[0], customers[waiting[0].id], self._timezone, self._rules)
        # A task that the relay completed may be needed again. Otherwise an existing task stays as it is, and
        # its digests say whether it is what the relay wrote.
        stored = existing.get(PREFIX + new.id)
        is_reopened = state is not None and state.id == new.id and is_completed_as_written(state, stored)
        new = msgspec.structs.replace(new, digests=digests_of(value))
        return Change(new, value if stored is None or is_reopened else None)

    def _join(
        self,
        state: TaskState | None,
        missed: Mapping[str, MissedOnce],
        calls: Iterable[Call],
        existing: Values,
    ) -> TaskState:
        if state is None:
            return TaskState("", []).join(missed)
        value = existing.get(PREFIX + state.id)
        is_done = isinstance(value, dict) and value.get(STATUS) == DONE_STATUS
        return state.settle(call for call in calls if not call.follow_up).join(
            missed,
            closed=value is None or is_done,
            closed_at=DELETED if value is None else None,
        )

    def _adjust(self, state: TaskState, calls: Iterable[Call], existing: Values) -> Change:
        """Complete the task if no call is left, else adjust its text and priority to its calls."""
        value = existing.get(PREFIX + state.id)
        if not isinstance(value, dict):
            return Change(state)
        if state.calls:
            refreshed = refreshed_task(state, value, next(iter(calls)), self._timezone)
            digests = digests_after(state, value, refreshed)
            return Change(msgspec.structs.replace(state, digests=digests), refreshed)
        if not is_untouched(state, value):
            return Change(state)
        completed = msgspec.structs.replace(state, completed=True)
        return Change(completed, completed_task(state, value, calls))

    # --- requests -------------------------------------------------------------------------------

    async def _read(self, ids: Iterable[str]) -> Values | ApiFailure:
        rows = await self._table.select([PREFIX + id_ for id_ in ids], COLUMNS)
        return {row["key"]: row["value"] for row in rows} if isinstance(rows, list) else rows

    async def _store(self, changes: Changes, by_key: Calls, existing: Values) -> dict[str, Outcome]:
        """Write the values, then the states. Returns by key why a value was not written."""
        carriers = {next(iter(by_key[key])): key for key in changes}
        rows = [
            rows_of(by_key[key][id_], {PREFIX + change.state.id: change.value}, existing)
            for id_, key in carriers.items()
            if (change := changes[key]).value is not None
        ]
        outcomes = await self._write_rows([each for each in rows if each.count > 0], existing)
        failed = {carriers[id_]: each for id_, each in outcomes.items() if not isinstance(each, Delivered)}
        await self._states.set_many({k: each.state for k, each in changes.items() if k not in failed})
        return failed

    async def _delete(self, ids: Mapping[str, Collection[str]], *, touched: bool) -> dict[str, Outcome]:
        """Delete the tasks with these ids, by key. Returns by key why one is still there."""
        where = {} if touched else _IS_OPEN
        keys = {PREFIX + id_: key for key, of_key in ids.items() for id_ in of_key}
        deleted = await self._table.delete(keys, **where)
        if not isinstance(deleted, set):
            return dict.fromkeys(ids, _failed(deleted, 1))
        kept = await find_kept(self._table, keys.keys() - deleted, **where)
        return {keys[name]: _failed(failure, 1) for name, failure in kept.items()}


def _possible_ids(state: TaskState | None, call_ids: Iterable[str]) -> list[str]:
    """Return the ids of the task, and of the task that one of these calls may begin."""
    return [*([state.id] if state else []), *call_ids]


def _ids_to_delete(state: TaskState | None, call_ids: Collection[str]) -> set[str]:
    """Return the ids of the tasks that are needed by these calls alone.

    Each task has the id of one of its calls, or of one that was merged into it. `relay forget` deletes the
    states of a number first; then all of its calls are forgotten.
    """
    if state is None:
        return set(call_ids)
    rounds = state.rounds_to_delete(call_ids)
    ids = {id_ for id_, each in state.missed.items() if each.round in rounds}
    return ids | {state.id} if state.round in rounds else ids


def _failed(failure: ApiFailure, calls: int) -> Outcome:
    return build_outcome(failure, remote_id="", calls=calls)


def _by_call(failed: Mapping[str, Outcome], by_key: Calls) -> dict[str, Outcome]:
    return {call_id: outcome for key, outcome in failed.items() for call_id in by_key[key]}
