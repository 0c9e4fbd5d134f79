"""Follow-ups: when a call needs a task, who owns the task, and when the task is completed or deleted."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from crm_clients.base import Context, Outcome, Push, Rejected, Retraction
from crm_clients.hubspot.api import Api, ObjectType
from crm_clients.hubspot.batch import TASK_REFUSED, Batch
from crm_clients.hubspot.call_records import COMPLETED, STATUS
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.errors import ApiFailure, as_refusal
from crm_clients.hubspot.new_tasks import CONTACT_DELETED
from crm_clients.hubspot.responses import Record
from crm_clients.hubspot.settings import CALL_ID, HubSpotSettings
from crm_clients.hubspot.task_records import MissedCall
from crm_clients.hubspot.tasks import Tasks

_TASK_FIELDS: Final = frozenset({"follow_up", "external_number", "started_at"})
"""A change of one of these makes a task necessary, or another task (they determine its key)."""


class FollowUps:
    """Decides about the tasks of an account's calls. Without `follow_up_tasks` it does nothing."""

    def __init__(self, api: Api, contacts: Contacts, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._tasks = Tasks(api, settings, context)
        self._contacts = contacts
        self._state = context.state
        self._rules = context.follow_up
        self._enabled = settings.follow_up_tasks
        self.default_owner = settings.default_owner or ""

    async def load_taskless(self, batch: Batch) -> None:
        """Load which of the calls were delivered without their task, because HubSpot refused it."""
        keys = {_state_key(push.call.id): push.call.id for push in batch.open_pushes if not push.first}
        taskless = await self._state.get_many(keys) if self._enabled else {}
        batch.taskless = {keys[key] for key in taskless}

    def needing_follow_up(self, batch: Batch) -> list[Push]:
        """Return the pushes of missed calls whose task may not exist yet."""
        return [
            push
            for push in batch.open_pushes
            if self._enabled
            and self._rules.needs_task(push.call)
            and (push.first or push.call.id in batch.taskless or not _TASK_FIELDS.isdisjoint(push.changed))
        ]

    async def update_tasks(self, batch: Batch) -> None:
        """Create the tasks of missed calls, and complete the tasks of calls that were answered after all.

        A call whose task HubSpot refuses is delivered: the call itself is in HubSpot.
        """
        if pushes := self.needing_follow_up(batch):
            await self._create_tasks(batch, pushes)
        answered = [push.call for push in batch.open_pushes if self._enabled and _may_have_had_task(push)]
        if answered:
            _apply_failures(batch, await self._tasks.complete(answered))
        await self._store_taskless(batch)

    async def complete_retracted(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Complete the tasks of retracted calls. Returns by call id why a task could not be completed.

        `Rejected` means that HubSpot refuses it: the call can be retracted all the same. The task of a call
        that is part of another passes to that call, and is completed only if HubSpot has that call as
        answered.
        """
        # A call that turned out to be internal may have a task from before.
        calls = [retraction.call for retraction in retractions] if self._enabled else []
        merged = [call for call in calls if call.merged_into]
        merged_ids = {str(call.merged_into): call.id for call in merged}
        survivors = await self._tasks.reassign_merged(merged)
        ids = sorted({survivor.id for survivor in survivors})
        records = await self._api.read_records(ObjectType.CALLS, ids, [STATUS], id_property=CALL_ID)
        if isinstance(records, ApiFailure):
            return {merged_ids[survivor.id]: self._api.outcome(records) for survivor in survivors}
        answered = [survivor for survivor in survivors if _is_answered(records.get(survivor.id))]
        failed = await self._tasks.complete([*answered, *(call for call in calls if not call.merged_into)])
        outcomes = _as_refusals(failed)
        return {merged_ids.get(id_, id_): outcome for id_, outcome in outcomes.items()}

    async def delete(self, retractions: Sequence[Retraction]) -> Outcome | None:
        """Archive the tasks of these calls. Returns why that failed."""
        calls = [r.call for r in retractions if self._enabled and r.call.direction == "inbound"]
        return await self._tasks.delete(calls)

    async def forget(self, call_ids: Collection[str]) -> None:
        """Remove these calls from the client state."""
        await self._state.set_many({_state_key(id_): None for id_ in call_ids})

    async def _store_taskless(self, batch: Batch) -> None:
        """Store which calls have no task: a later delivery creates it. An answered call needs none."""
        values: dict[str, str | None] = {}
        for push in batch.open_pushes:
            refused = push.call.follow_up and push.call.id in batch.refusals[TASK_REFUSED]
            if refused != (push.call.id in batch.taskless):
                values[_state_key(push.call.id)] = "1" if refused else None
        await self._state.set_many(values)

    async def _create_tasks(self, batch: Batch, pushes: Sequence[Push]) -> None:
        missed_calls = await self._choose_owners(batch, pushes)
        failed = await self._tasks.create(missed_calls)
        _apply_failures(batch, failed)
        outdated = {m.call.external_number for m in missed_calls if failed.get(m.call.id) is CONTACT_DELETED}
        await self._contacts.forget({number for number in outdated if number})

    async def _choose_owners(self, batch: Batch, pushes: Sequence[Push]) -> list[MissedCall]:
        """List the possible owners of each task: the contact's owner, the default owner, then the agent.

        The agent of a missed call is the one whose phone rang last. HubSpot may refuse an owner who has
        left: then the next one is tried.
        """
        contact_ids = {
            str(push.call.external_number): ids for push in pushes if (ids := batch.contacts_of(push))
        }
        contact_owners = await self._contacts.find_owners(contact_ids)
        missed_calls = []
        for push in pushes:
            contact_owner = contact_owners.get(push.call.external_number or "", "")
            if isinstance(contact_owner, Outcome):
                batch.outcomes[push.call.id] = contact_owner
                continue
            owner_ids = (contact_owner, self._default_owner_id(batch), batch.agent_owner_id(push))
            distinct = tuple(dict.fromkeys(id_ for id_ in owner_ids if id_))
            missed_calls.append(MissedCall(push.call, batch.contacts_of(push), distinct))
        return missed_calls

    def _default_owner_id(self, batch: Batch) -> str:
        """The setting is an owner id or an e-mail address."""
        if "@" in self.default_owner:
            return batch.owner_ids.get(self.default_owner, "")
        return self.default_owner


def _apply_failures(batch: Batch, failures: Mapping[str, Outcome]) -> None:
    for id_, outcome in _as_refusals(failures).items():
        if isinstance(outcome, Rejected):
            batch.refusals[TASK_REFUSED][id_] = outcome
        else:
            batch.outcomes[id_] = outcome


def _as_refusals(failures: Mapping[str, Outcome]) -> dict[str, Outcome]:
    return {id_: as_refusal(failure, records=len(failures)) for id_, failure in failures.items()}


def _may_have_had_task(push: Push) -> bool:
    """The first delivery counts too: an earlier attempt may have created a task while the call was missed."""
    is_known = not push.partial or "follow_up" in push.changed
    return is_known and push.call.direction == "inbound" and not push.call.follow_up


def _is_answered(record: Record | None) -> bool:
    return record is not None and record.properties.get(STATUS) == COMPLETED


def _state_key(call_id: str) -> str:
    return f"taskless:{call_id}"
