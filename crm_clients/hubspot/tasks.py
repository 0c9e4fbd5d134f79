"""The follow-up tasks of an account: created once per number and day, completed, or deleted.

A task is only ever *created*, never upserted. HubSpot refuses a second task with the same unique property,
so there is one per key, and a task that a person completed or changed stays as it is. The relay completes
a task in one case: none of its calls needs a call back any more, and nobody has changed the task.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from crm_clients.base import Context, Outcome, Retry
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.errors import ApiError, ApiFailure, names_record
from crm_clients.hubspot.responses import Record, RecordResults, to_records
from crm_clients.hubspot.settings import TASK_ID, HubSpotSettings
from crm_clients.hubspot.task_records import (
    EDITABLE_PROPERTIES,
    MissedCall,
    TaskFormat,
    TaskState,
    TaskStates,
    complete_input,
    completion_remark,
    create_input,
    initial_digest,
    is_unchanged,
    task_key,
)
from crm_clients.hubspot.text import constant_properties
from crm_clients.locks import KeyedLock
from relay.call import Call

CONTACT_DELETED: Final = Retry(
    code="contact_gone",
    message="The task's contact was deleted in HubSpot. The next attempt looks for another one.",
    after=1.0,
)
_NO_RESULT: Final = ApiError(503, message="HubSpot's response does not mention the task.")

Outcomes = dict[str, Outcome]
Failures = dict[str, ApiFailure]
States = dict[str, TaskState]


class Tasks:
    """The tasks of one account. Requests about one key are sent one after the other."""

    def __init__(self, api: Api, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._states = TaskStates(context.state)
        self._format = TaskFormat(
            context.timezone, settings.texts, constant_properties(settings.task_constants)
        )
        self._locks = KeyedLock()

    async def create(self, missed_calls: Sequence[MissedCall]) -> Outcomes:
        """Create the tasks that do not exist. Returns by call id why a task could not be created."""
        by_key: dict[str, list[MissedCall]] = defaultdict(list)
        for missed in missed_calls:
            by_key[task_key(missed.call, self._format.timezone)].append(missed)
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            created, failed = await self._create({k: m[0] for k, m in by_key.items() if k not in stored})
            states = stored | created
            updated = {k: state.with_calls([m.call.id for m in by_key[k]]) for k, state in states.items()}
            await self._states.set_many({k: s for k, s in updated.items() if s != stored.get(k)})
        return {missed.call.id: outcome for key, outcome in failed.items() for missed in by_key[key]}

    async def complete(self, calls: Sequence[Call]) -> Outcomes:
        """Remove these calls from their tasks, and complete unchanged tasks that have no call left.

        Returns by call id why a task could not be completed.
        """
        by_key = self._call_ids_by_key(calls)
        remarks = {
            key: completion_remark((call for call in calls if call.id in ids), self._format.texts)
            for key, ids in by_key.items()
        }
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            updated = {
                key: state.without_calls(by_key[key])
                for key, state in stored.items()
                if not by_key[key].isdisjoint(state.calls)
            }
            failed = await self._complete({key: s for key, s in updated.items() if not s.calls}, remarks)
            await self._states.set_many({key: s for key, s in updated.items() if key not in failed})
        return {call_id: outcome for key, outcome in failed.items() for call_id in by_key[key]}

    async def reassign_merged(self, calls: Sequence[Call]) -> list[Call]:
        """Replace each merged call in its task by the call that it is part of (`merged_into`).

        Returns the calls whose task was reassigned, now or before, with their new ids.
        """
        survivors = {call.id: msgspec.structs.replace(call, id=call.merged_into or "") for call in calls}
        keys = {call.id: task_key(call, self._format.timezone) for call in calls}
        async with self._locks.acquire(keys.values()):
            states = await self._states.get_many({*keys.values()})
            reassigned = [
                id_
                for id_, key in keys.items()
                if key in states and {id_, survivors[id_].id}.intersection(states[key].calls)
            ]
            for id_ in reassigned:
                states[keys[id_]] = states[keys[id_]].with_call_replaced(id_, survivors[id_].id)
            await self._states.set_many({keys[id_]: states[keys[id_]] for id_ in reassigned})
        return [survivors[id_] for id_ in reassigned]

    async def delete(self, calls: Sequence[Call]) -> Outcome | None:
        """Archive the tasks that are for these calls alone, and remove the calls from other tasks."""
        by_key = self._call_ids_by_key(calls)
        if not by_key:
            return None
        async with self._locks.acquire(by_key):
            stored = await self._states.get_many(by_key)
            own = [k for k, ids in by_key.items() if k not in stored or ids.issuperset(stored[k].calls)]
            failure = await self._archive(sorted(own))
            if failure is not None:
                return self._api.outcome(failure)
            await self._states.delete_many(own)
            shared = {key: state for key, state in stored.items() if key not in own}
            await self._states.set_many({k: state.without_calls(by_key[k]) for k, state in shared.items()})
        return None

    def _call_ids_by_key(self, calls: Iterable[Call]) -> dict[str, set[str]]:
        by_key: dict[str, set[str]] = defaultdict(set)
        for call in calls:
            by_key[task_key(call, self._format.timezone)].add(call.id)
        return by_key

    # --- create ---------------------------------------------------------------------------------

    async def _create(self, missed: Mapping[str, MissedCall]) -> tuple[States, Outcomes]:
        """Return by key the states of the tasks that exist now, and why the others could not be created."""
        states: States = {}
        failed: Outcomes = {}
        for keys in chunks(list(missed)):
            created, refused = await self._create_chunk({key: missed[key] for key in keys})
            states |= created
            failed |= refused
        return states, failed

    async def _create_chunk(self, missed: Mapping[str, MissedCall]) -> tuple[States, Outcomes]:
        created, refused = await self._send_with_owners(missed)
        failed = self._outcomes({k: failure for k, failure in refused.items() if not _may_exist(failure)})
        refused = {key: failure for key, failure in refused.items() if key not in failed}
        if not refused:
            return created, failed
        existing = await self._api.read_records(ObjectType.TASKS, sorted(refused), id_property=TASK_ID)
        if isinstance(existing, ApiFailure):
            return created, failed | dict.fromkeys(refused, self._api.outcome(existing))
        # An existing task is unchanged if an earlier response was lost; otherwise its digest will differ.
        created |= {key: self._state(task.id, missed[key]) for key, task in existing.items() if key in missed}
        remaining = {key: missed[key] for key in refused if key not in existing}
        if existing and len(refused) == len(missed):
            # HubSpot may have refused the whole batch because of the tasks that exist.
            repeated, refused = await self._send_with_owners(remaining)
            created |= repeated
        refused = {key: failure for key, failure in refused.items() if key in remaining}
        failed |= self._outcomes(refused) | await self._find_deleted_contacts(refused, missed)
        return created, failed

    async def _send_with_owners(self, missed: Mapping[str, MissedCall]) -> tuple[States, Failures]:
        """Send a task that was refused for its owner again with the next possible owner, or with none."""
        created, refused = await self._send(missed)
        next_owner = {
            key: msgspec.structs.replace(missed[key], owner_ids=missed[key].owner_ids[1:])
            for key, failure in refused.items()
            if missed[key].owner_ids
            and _is_about_owner(failure)
            and (names_record(failure, key) or len(missed) == 1)
        }
        if not next_owner:
            return created, refused
        repeated, still_refused = await self._send_with_owners(next_owner)
        others = {key: failure for key, failure in refused.items() if key not in next_owner}
        return created | repeated, others | still_refused

    async def _send(self, missed: Mapping[str, MissedCall]) -> tuple[States, Failures]:
        if not missed:
            return {}, {}
        inputs = [create_input(key, each, self._format) for key, each in missed.items()]
        response = await self._api.write_batch(ObjectType.TASKS, "create", inputs)
        if isinstance(response, ApiFailure):
            return {}, dict.fromkeys(missed, response)
        created = {
            key: self._state(task.id, missed[key])
            for task in to_records(response)
            if (key := task.find_key(missed, TASK_ID)) is not None
        }
        return created, _failures(response, missed.keys() - created)

    async def _find_deleted_contacts(self, refused: Failures, missed: Mapping[str, MissedCall]) -> Outcomes:
        """Return by key the tasks that were refused because their contact was deleted, or may be."""
        contact_ids = {id_ for key in refused for id_ in missed[key].contact_ids}
        existing = await self._api.read_records(ObjectType.CONTACTS, sorted(contact_ids))
        if isinstance(existing, ApiFailure):
            return {k: self._api.outcome(existing) for k in refused if missed[k].contact_ids}
        deleted = contact_ids - {*existing}
        return {k: CONTACT_DELETED for k in refused if not deleted.isdisjoint(missed[k].contact_ids)}

    def _outcomes(self, refused: Failures) -> Outcomes:
        """A failure that names no record may be about any task of the batch."""
        return {
            key: self._api.outcome(failure, records=1 if names_record(failure, key) else len(refused))
            for key, failure in refused.items()
        }

    def _state(self, task_id: str, missed: MissedCall) -> TaskState:
        return TaskState(task_id, [], initial_digest(missed, self._format))

    # --- complete and archive -------------------------------------------------------------------

    async def _complete(self, states: Mapping[str, TaskState], remarks: Mapping[str, str]) -> Outcomes:
        """Complete the unchanged tasks. Returns by key why a task could not be completed."""
        ids = [state.id for state in states.values()]
        tasks = await self._api.read_records(ObjectType.TASKS, ids, EDITABLE_PROPERTIES)
        if isinstance(tasks, ApiFailure):
            return dict.fromkeys(states, self._api.outcome(tasks))
        unchanged = {
            key: tasks[state.id]
            for key, state in states.items()
            if state.id in tasks and is_unchanged(tasks[state.id], state.digest)
        }
        failed: Outcomes = {}
        for keys in chunks(list(unchanged)):
            chunk = {key: unchanged[key] for key in keys}
            failed |= self._outcomes(await self._complete_chunk(chunk, remarks))
        return failed

    async def _complete_chunk(self, tasks: Mapping[str, Record], remarks: Mapping[str, str]) -> Failures:
        texts = self._format.texts
        inputs = [complete_input(key, task, remarks[key], texts) for key, task in tasks.items()]
        response = await self._api.write_batch(ObjectType.TASKS, "update", inputs)
        if isinstance(response, ApiFailure):
            return dict.fromkeys(tasks, response)
        written = {task.id for task in to_records(response)}
        return _failures(response, [key for key, task in tasks.items() if task.id not in written])

    async def _archive(self, keys: Sequence[str]) -> ApiFailure | None:
        tasks = await self._api.read_records(ObjectType.TASKS, keys, id_property=TASK_ID)
        if isinstance(tasks, ApiFailure):
            return tasks
        for chunk in chunks([task.id for task in tasks.values()]):
            failure = await self._api.archive(ObjectType.TASKS, chunk)
            if failure is not None:
                return failure
        return None


def _failures(response: RecordResults, unwritten: Iterable[str]) -> Failures:
    """Return by key why these tasks were not written; an error without a name may mean any of them."""
    by_id, unnamed = response.errors_by_id, next(iter(response.errors), _NO_RESULT)
    return {key: by_id.get(key, unnamed) for key in unwritten}


def _may_exist(failure: ApiFailure) -> bool:
    """Whether the task may have been refused because it exists, or because another of its batch does."""
    return (
        isinstance(failure, ApiError)
        and failure.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
        and not failure.is_missing_property
    )


def _is_about_owner(failure: ApiFailure) -> bool:
    return (
        isinstance(failure, ApiError)
        and failure.status == HTTPStatus.BAD_REQUEST
        and "owner" in f"{failure.message} {failure.details}".lower()
    )
