"""Which calls need somebody to call back, who that is, and which need it no more."""

from collections.abc import Sequence
from typing import Final

from crm_clients.base import Context, Outcome, Push, Retraction
from crm_clients.hubspot.api import CALLS, Api, Said
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.rounds import Batch
from crm_clients.hubspot.settings import CALL_ID, HubSpotSettings
from crm_clients.hubspot.task_records import Missed
from crm_clients.hubspot.tasks import CONTACT_GONE, Tasks
from relay.call import Call

_DUE_ANEW: Final = frozenset({"follow_up", "external_number", "started_at"})
"""What makes a task owed, or another one than before."""


_STATUS: Final = "hs_call_status"


class FollowUps:
    """The tasks for an account's calls."""

    def __init__(self, api: Api, contacts: Contacts, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._tasks = Tasks(api, context)
        self._contacts = contacts
        self._on = settings.follow_up_tasks
        self.default_owner = settings.default_owner or ""

    def due(self, round_: Batch) -> list[Push]:
        """Those that need a task which may not be there yet."""
        return [
            push
            for push in round_.left
            if self._on and push.call.follow_up and (push.first or not _DUE_ANEW.isdisjoint(push.changed))
        ]

    async def settle(self, round_: Batch) -> None:
        """Create the tasks that are due, and complete those that were for calls now answered."""
        if due := self.due(round_):
            await self._create(round_, due)
        if answered := [push.call for push in round_.left if self._on and _may_have_been_missed(push)]:
            round_.outcomes |= await self._tasks.release(answered)

    async def release(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Records that go need no calling back; by the call's id, whose task could not be completed.

        One that is part of another call hands its task over, unless HubSpot has that call as answered.
        """
        calls = self._inbound(retractions)
        parts = {call.merged_into: call.id for call in calls if call.merged_into}
        heirs = await self._tasks.hand_over([call for call in calls if call.merged_into])
        read = await self._api.read(CALLS, sorted({heir.id for heir in heirs}), [_STATUS], by=CALL_ID)
        if not isinstance(read, dict):
            return {parts[heir.id]: self._api.outcome(read) for heir in heirs}
        answered = [heir for heir in heirs if _is_answered(read.get(heir.id, {}))]
        failed = await self._tasks.release([*answered, *(call for call in calls if not call.merged_into)])
        return {parts.get(id_, id_): outcome for id_, outcome in failed.items()}

    async def delete(self, retractions: Sequence[Retraction]) -> Outcome | None:
        """Archive what was made for these."""
        return await self._tasks.delete(self._inbound(retractions))

    def _inbound(self, retractions: Sequence[Retraction]) -> list[Call]:
        return [r.call for r in retractions if self._on and r.call.direction == "inbound"]

    async def _create(self, round_: Batch, due: Sequence[Push]) -> None:
        missed = await self._owned(round_, due)
        failed = await self._tasks.create(missed)
        round_.outcomes |= failed
        lost = {each.call.external_number for each in missed if failed.get(each.call.id) is CONTACT_GONE}
        await self._contacts.forget({number for number in lost if number})

    async def _owned(self, round_: Batch, due: Sequence[Push]) -> list[Missed]:
        """The contact's owner calls back, else the default one, else the agent that was rung last.

        One whom HubSpot does not take any more gives way to the next.
        """
        numbers = {str(push.call.external_number): c for push in due if (c := round_.contact_of(push))}
        owners = await self._contacts.owners(numbers) if numbers else {}
        missed = []
        for push in due:
            owner = owners.get(push.call.external_number or "", "")
            if isinstance(owner, Outcome):
                round_.outcomes[push.call.id] = owner
                continue
            likely = dict.fromkeys((owner, self._default(round_), round_.agent_of(push)))
            missed.append(Missed(push.call, round_.contact_of(push), tuple(filter(None, likely))))
        return missed

    def _default(self, round_: Batch) -> str:
        return round_.owners.get(self.default_owner, "") if "@" in self.default_owner else self.default_owner


def _may_have_been_missed(push: Push) -> bool:
    """Also one that is brought for the first time: it may have been tried while it was a missed one."""
    return push.call.direction == "inbound" and not push.call.follow_up


def _is_answered(record: Said) -> bool:
    return (record.get("properties") or {}).get(_STATUS) == "COMPLETED"
