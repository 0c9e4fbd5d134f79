"""The follow-up tasks of an account: one per number and day, until somebody closes it.

A task is only ever *created*, never upserted. HubSpot refuses a second task with the same unique property,
so there is one per key, and what a person changed in a task stays as it is. The relay adds repeated calls to
the text of an open task and raises its priority, unless a person has changed these. It completes a task in
one case: none of its calls needs a call back any more, and nobody has changed the task.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NotRequired, TypedDict

import msgspec

from crm_clients.base import Context, Outcome
from crm_clients.follow_up_tasks import (
    DELETED,
    TaskState,
    TaskStates,
    group_by_key,
    missed_by_id,
    rounds_to_forget,
    task_key,
)
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.errors import ApiFailure
from crm_clients.hubspot.new_tasks import Failures, NewTask, Outcomes, States, TaskCreator, failures_of
from crm_clients.hubspot.responses import JsonObject, Record, to_records
from crm_clients.hubspot.settings import TASK_ID, HubSpotSettings
from crm_clients.hubspot.task_records import (
    COMPLETED,
    COMPLETED_AT,
    EDITABLE_PROPERTIES,
    STATUS,
    MissedCall,
    TaskFormat,
    changed_properties,
    complete_input,
    completed_at,
    completion_remark,
    digests_of,
    is_unchanged,
    task_id,
    unchanged_properties,
    update_input,
)
from crm_clients.hubspot.text import constant_properties
from crm_clients.locks import KeyedLock
from relay.call import Call

Calls = Mapping[str, Mapping[str, Call]]
"""By the key of their task, and then by id."""


class Closing(TypedDict):
    """Whether a person has closed a task, and when in Unix seconds."""

    closed: bool
    closed_at: NotRequired[float | None]


class Tasks:
    """The tasks of one account. Requests about one key are sent one after the other."""

    def __init__(self, api: Api, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._states = TaskStates(context.state)
        self._format = TaskFormat(
            context.timezone, settings.texts, constant_properties(settings.task_constants), context.follow_up
        )
        self._creator = TaskCreator(api, self._format)
        self._locks = KeyedLock()

    async def create(self, missed_calls: Sequence[MissedCall]) -> Outcomes:
        """Create the tasks that do not exist, and add the calls to those that do.

        Returns by call id why a task could not be created or changed.
        """
        missed = {each.call.id: each for each in missed_calls}
        by_key = self._group([each.call for each in missed_calls])
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            tasks, unread = await self._read_of_unknown_calls(by_key, stored)
            joined = {
                key: stored.get(key, TaskState("", [])).join(
                    missed_by_id(calls.values(), self._format.rules), **_closing(key, tasks)
                )
                for key, calls in by_key.items()
                if key not in unread
            }
            new = {key: state for key, state in joined.items() if not state.id}
            created, failed = await self._create(new, missed)
            existing = {key: state for key, state in joined.items() if state.id}
            refreshed, unrefreshed = await self._refresh(existing, by_key, tasks)
            await self._states.set_many(created | refreshed)
        return _by_call(unread | failed | unrefreshed, by_key)

    async def complete(self, calls: Sequence[Call]) -> Outcomes:
        """Remove these calls from their tasks, and complete unchanged tasks that have no call left.

        Returns by call id why a task could not be completed.
        """
        by_key = self._group(calls)
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            settled = {
                key: state.settle(by_key[key].values())
                for key, state in stored.items()
                if not by_key[key].keys().isdisjoint(state.calls)
            }
            failed = await self._update(settled, by_key)
        return _by_call(failed, by_key)

    async def reassign_merged(self, calls: Sequence[Call]) -> list[Call]:
        """Replace each merged call in its task by the call that it is part of (`merged_into`).

        Returns the calls whose task was reassigned, now or before, with their new ids.
        """
        survivors = {call.id: msgspec.structs.replace(call, id=call.merged_into or "") for call in calls}
        keys = {call.id: self._key(call) for call in calls}
        async with self._locks.acquire(keys.values()):
            states = await self._states.get_many({*keys.values()})
            reassigned = [
                id_
                for id_, key in keys.items()
                if key in states and {id_, survivors[id_].id}.intersection(states[key].calls)
            ]
            for id_ in reassigned:
                states[keys[id_]] = states[keys[id_]].replace_call(id_, survivors[id_].id)
            await self._states.set_many({keys[id_]: states[keys[id_]] for id_ in reassigned})
        return [survivors[id_] for id_ in reassigned]

    async def delete(self, calls: Sequence[Call]) -> Outcome | None:
        """Archive the tasks that are for these calls alone, and remove the calls from other tasks."""
        by_key = self._group(calls)
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            rounds = {k: rounds_to_forget(k, stored.get(k), ids.keys()) for k, ids in by_key.items()}
            failure = await self._archive(sorted(task_id(key, n) for key, ns in rounds.items() for n in ns))
            if failure is not None:
                return self._api.outcome(failure)
            after = {key: state.forget(by_key[key].keys()) for key, state in stored.items()}
            await self._states.delete_many([key for key, state in after.items() if not state.missed])
            shared = {key: state for key, state in after.items() if state.missed and state != stored[key]}
            failed = await self._update(shared, by_key)
        return next(iter(failed.values()), None)

    def _key(self, call: Call) -> str:
        return task_key(call, self._format.timezone, self._format.rules)

    def _group(self, calls: Iterable[Call]) -> dict[str, dict[str, Call]]:
        return group_by_key(calls, self._format.timezone, self._format.rules)

    # --- create ---------------------------------------------------------------------------------

    async def _read_of_unknown_calls(
        self, by_key: Calls, stored: States
    ) -> tuple[dict[str, Record | None], Outcomes]:
        """Return by key the open or closed tasks that calls are added to, and why one cannot be read.

        None: somebody deleted the task. A task is not read if its calls are known, or if the relay has
        completed it.
        """
        read = {
            key: state.id
            for key, state in stored.items()
            if not (state.completed or by_key[key].keys() <= state.missed.keys())
        }
        tasks = await self._read(read.values(), [COMPLETED_AT])
        if isinstance(tasks, ApiFailure):
            return {}, dict.fromkeys(read, self._api.outcome(tasks))
        return {key: tasks.get(id_) for key, id_ in read.items()}, {}

    async def _create(self, states: States, missed: Mapping[str, MissedCall]) -> tuple[States, Outcomes]:
        """Create the tasks of these states. Returns the states with ids, and why others were not created."""
        keys = {task_id(key, state.round): key for key, state in states.items()}
        new = {id_: NewTask(_first(states[key], missed), states[key]) for id_, key in keys.items()}
        created, failed = await self._creator.create(new)
        return {keys[id_]: s for id_, s in created.items()}, {keys[id_]: o for id_, o in failed.items()}

    # --- change and complete --------------------------------------------------------------------

    async def _update(self, states: States, by_key: Calls) -> Outcomes:
        """Complete the tasks that have no call left, adjust the others, and store the states.

        Returns by key why that failed.
        """
        done = {key: state for key, state in states.items() if not state.calls}
        completed, failed = await self._complete(done, by_key)
        left = {key: state for key, state in states.items() if state.calls}
        changed = {k: s for k, s in left.items() if changed_properties(s, _any_call(by_key[k]), self._format)}
        tasks = await self._read(state.id for state in changed.values())
        if isinstance(tasks, ApiFailure):
            await self._states.set_many(completed | {k: s for k, s in left.items() if k not in changed})
            return failed | dict.fromkeys(changed, self._api.outcome(tasks))
        found = {key: tasks.get(state.id) for key, state in changed.items()}
        refreshed, unrefreshed = await self._refresh(left, by_key, found)
        await self._states.set_many(completed | refreshed)
        return failed | unrefreshed

    async def _refresh(
        self, states: States, by_key: Calls, tasks: Mapping[str, Record | None]
    ) -> tuple[States, Outcomes]:
        """Write text and priority of these open tasks, as far as nobody has changed them.

        Returns the states, and why a task could not be changed.
        """
        open_tasks = {
            key: task
            for key, task in tasks.items()
            if key in states and task is not None and task.properties.get(STATUS) != COMPLETED
        }
        wanted = {
            key: properties
            for key, task in open_tasks.items()
            if (properties := self._writable_properties(states[key], _any_call(by_key[key]), task))
        }
        failed: Outcomes = {}
        for keys in chunks(list(wanted)):
            inputs = {key: update_input(key, states[key].id, wanted[key]) for key in keys}
            failed |= self._creator.outcomes(await self._write(inputs))
        written = {key: digests_of(properties) for key, properties in wanted.items() if key not in failed}
        refreshed = {
            key: msgspec.structs.replace(
                state, digests=state.digests | {n: written[key][n] for n in wanted[key]}
            )
            if key in written
            else state
            for key, state in states.items()
            if key not in failed
        }
        return refreshed, failed

    def _writable_properties(self, state: TaskState, call: Call, task: Record) -> dict[str, str]:
        unchanged = unchanged_properties(task, state.digests)
        wanted = changed_properties(state, call, self._format)
        return {name: value for name, value in wanted.items() if name in unchanged}

    async def _complete(self, states: States, by_key: Calls) -> tuple[States, Outcomes]:
        """Complete the unchanged tasks. Returns the states, and by key why a task could not be completed."""
        tasks = await self._read(state.id for state in states.values() if not state.completed)
        if isinstance(tasks, ApiFailure):
            return {}, dict.fromkeys(states, self._api.outcome(tasks))
        unchanged = {
            key: tasks[state.id]
            for key, state in states.items()
            if state.id in tasks and is_unchanged(tasks[state.id], state.digests)
        }
        failed: Outcomes = {}
        for keys in chunks(list(unchanged)):
            inputs = {k: self._complete_input(k, unchanged[k], states[k], by_key[k].values()) for k in keys}
            failed |= self._creator.outcomes(await self._write(inputs))
        completed = {
            key: msgspec.structs.replace(state, completed=state.completed or key in unchanged)
            for key, state in states.items()
            if key not in failed
        }
        return completed, failed

    def _complete_input(self, key: str, task: Record, state: TaskState, calls: Iterable[Call]) -> JsonObject:
        texts = self._format.texts
        return complete_input(key, task, completion_remark(state, calls, texts), texts)

    # --- requests -------------------------------------------------------------------------------

    async def _read(self, ids: Iterable[str], also: Sequence[str] = ()) -> dict[str, Record] | ApiFailure:
        return await self._api.read_records(ObjectType.TASKS, list(ids), [*EDITABLE_PROPERTIES, *also])

    async def _write(self, inputs: Mapping[str, JsonObject]) -> Failures:
        """Update the tasks of up to MAX_BATCH_SIZE inputs. Returns by key why one was not written."""
        response = await self._api.write_batch(ObjectType.TASKS, "update", list(inputs.values()))
        if isinstance(response, ApiFailure):
            return dict.fromkeys(inputs, response)
        written = {task.id for task in to_records(response)}
        return failures_of(response, [key for key, each in inputs.items() if each["id"] not in written])

    async def _archive(self, keys: Sequence[str]) -> ApiFailure | None:
        tasks = await self._api.read_records(ObjectType.TASKS, keys, id_property=TASK_ID)
        if isinstance(tasks, ApiFailure):
            return tasks
        for chunk in chunks([task.id for task in tasks.values()]):
            failure = await self._api.archive(ObjectType.TASKS, chunk)
            if failure is not None:
                return failure
        return None


def _by_call(failed: Outcomes, by_key: Calls) -> Outcomes:
    return {call_id: outcome for key, outcome in failed.items() for call_id in by_key[key]}


def _closing(key: str, tasks: Mapping[str, Record | None]) -> Closing:
    """Whether and when somebody closed the task under this key, as far as it was read."""
    if key not in tasks:
        return Closing(closed=False)
    task = tasks[key]
    if task is None:
        return Closing(closed=True, closed_at=DELETED)
    return Closing(closed=task.properties.get(STATUS) == COMPLETED, closed_at=completed_at(task))


def _first(state: TaskState, missed: Mapping[str, MissedCall]) -> MissedCall:
    """Return the earliest of the calls of a new task: its customer and its agent give the task its owner."""
    id_ = min(state.calls, key=lambda id_: (state.missed[id_].began_at, id_))
    return missed[id_]


def _any_call(calls: Mapping[str, Call]) -> Call:
    return next(iter(calls.values()))
