"""The creation of tasks: HubSpot may refuse one for its owner or its contact, or because it exists."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from crm_clients.base import Outcome, Retry
from crm_clients.follow_up_tasks import TaskState
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.errors import ApiError, ApiFailure, names_record
from crm_clients.hubspot.responses import RecordResults, to_records
from crm_clients.hubspot.settings import TASK_ID
from crm_clients.hubspot.task_records import MissedCall, TaskFormat, create_input, initial_digests

CONTACT_DELETED: Final = Retry(
    code="contact_gone",
    message="The task's contact was deleted in HubSpot. The next attempt looks for another one.",
    after=1.0,
)
_NO_RESULT: Final = ApiError(503, message="HubSpot's response does not mention the task.")

Outcomes = dict[str, Outcome]
Failures = dict[str, ApiFailure]
States = dict[str, TaskState]


class NewTask(msgspec.Struct, frozen=True):
    """A task to create: the call that gives it its customer and owner, and its state without an id."""

    missed: MissedCall
    state: TaskState


NewTasks = Mapping[str, NewTask]
"""By the unique property."""


class TaskCreator:
    """Creates tasks of one account."""

    def __init__(self, api: Api, format_: TaskFormat) -> None:
        self._api = api
        self._format = format_

    async def create(self, tasks: NewTasks) -> tuple[States, Outcomes]:
        """Return the states of the tasks that exist now, and why the others could not be created."""
        states: States = {}
        failed: Outcomes = {}
        for keys in chunks(list(tasks)):
            created, refused = await self._create_chunk({key: tasks[key] for key in keys})
            states |= created
            failed |= refused
        return states, failed

    def outcomes(self, refused: Failures) -> Outcomes:
        """A failure that names no record may be about any task of the batch."""
        return {
            key: self._api.outcome(failure, records=1 if names_record(failure, key) else len(refused))
            for key, failure in refused.items()
        }

    async def _create_chunk(self, tasks: NewTasks) -> tuple[States, Outcomes]:
        created, refused = await self._send_with_owners(tasks)
        failed = self.outcomes({k: failure for k, failure in refused.items() if not _may_exist(failure)})
        refused = {key: failure for key, failure in refused.items() if key not in failed}
        if not refused:
            return created, failed
        existing = await self._api.read_records(ObjectType.TASKS, sorted(refused), id_property=TASK_ID)
        if isinstance(existing, ApiFailure):
            return created, failed | dict.fromkeys(refused, self._api.outcome(existing))
        # An existing task is unchanged if an earlier response was lost; otherwise its digests will differ.
        created |= {key: self._state(task.id, tasks[key]) for key, task in existing.items() if key in tasks}
        remaining = {key: tasks[key] for key in refused if key not in existing}
        if existing and len(refused) == len(tasks):
            # HubSpot may have refused the whole batch because of the tasks that exist.
            repeated, refused = await self._send_with_owners(remaining)
            created |= repeated
        refused = {key: failure for key, failure in refused.items() if key in remaining}
        failed |= self.outcomes(refused) | await self._find_deleted_contacts(refused, tasks)
        return created, failed

    async def _send_with_owners(self, tasks: NewTasks) -> tuple[States, Failures]:
        """Send a task that was refused for its owner again with the next possible owner, or with none."""
        created, refused = await self._send(tasks)
        next_owner = {
            key: _with_next_owner(tasks[key])
            for key, failure in refused.items()
            if tasks[key].missed.owner_ids
            and _is_about_owner(failure)
            and (names_record(failure, key) or len(tasks) == 1)
        }
        if not next_owner:
            return created, refused
        repeated, still_refused = await self._send_with_owners(next_owner)
        others = {key: failure for key, failure in refused.items() if key not in next_owner}
        return created | repeated, others | still_refused

    async def _send(self, tasks: NewTasks) -> tuple[States, Failures]:
        if not tasks:
            return {}, {}
        inputs = [create_input(key, each.missed, each.state, self._format) for key, each in tasks.items()]
        response = await self._api.write_batch(ObjectType.TASKS, "create", inputs)
        if isinstance(response, ApiFailure):
            return {}, dict.fromkeys(tasks, response)
        created = {
            key: self._state(task.id, tasks[key])
            for task in to_records(response)
            if (key := task.find_key(tasks, TASK_ID)) is not None
        }
        return created, failures_of(response, tasks.keys() - created)

    async def _find_deleted_contacts(self, refused: Failures, tasks: NewTasks) -> Outcomes:
        """Return by key the tasks that were refused because their contact was deleted, or may be."""
        contact_ids = {id_ for key in refused for id_ in tasks[key].missed.contact_ids}
        existing = await self._api.read_records(ObjectType.CONTACTS, sorted(contact_ids))
        if isinstance(existing, ApiFailure):
            return {k: self._api.outcome(existing) for k in refused if tasks[k].missed.contact_ids}
        deleted = contact_ids - {*existing}
        return {k: CONTACT_DELETED for k in refused if not deleted.isdisjoint(tasks[k].missed.contact_ids)}

    def _state(self, task_id: str, task: NewTask) -> TaskState:
        digests = initial_digests(task.missed, task.state, self._format)
        return msgspec.structs.replace(task.state, id=task_id, digests=digests)


def failures_of(response: RecordResults, unwritten: Iterable[str]) -> Failures:
    """Return by key why these tasks were not written; an error without a name may mean any of them."""
    by_id, unnamed = response.errors_by_id, next(iter(response.errors), _NO_RESULT)
    return {key: by_id.get(key, unnamed) for key in unwritten}


def _with_next_owner(task: NewTask) -> NewTask:
    missed = msgspec.structs.replace(task.missed, owner_ids=task.missed.owner_ids[1:])
    return NewTask(missed, task.state)


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
