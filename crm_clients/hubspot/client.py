"""The HubSpot client: the order of the steps that deliver, retract and forget calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from crm_clients.base import (
    Context,
    CrmClient,
    Delivered,
    Finding,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Stored,
)
from crm_clients.batch import mark_existed
from crm_clients.hubspot import check
from crm_clients.hubspot.api import Api
from crm_clients.hubspot.associations import Associations
from crm_clients.hubspot.batch import OWNER_REFUSED, TASK_REFUSED, Batch
from crm_clients.hubspot.calls import Calls
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.errors import as_refusal
from crm_clients.hubspot.follow_ups import FollowUps
from crm_clients.hubspot.owners import Owners
from crm_clients.hubspot.reading import CallReader
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.settings import DestinationSettings


class HubSpotClient(CrmClient[HubSpotSettings]):
    """Delivers calls to HubSpot in batches: owners, contacts, calls, associations, then tasks.

    A call is delivered when all of its steps are done. Each step is idempotent.
    """

    Settings: ClassVar[type[DestinationSettings]] = HubSpotSettings
    forget_fields: ClassVar[frozenset[str]] = frozenset(
        {"answered_at", "direction", "ended_at", "external_number", "started_at"}
    )

    def __init__(self, name: str, settings: HubSpotSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._api = Api(settings, context)
        self._owners = Owners(self._api, context.state)
        self._contacts = Contacts(self._api, settings, context)
        self._calls = Calls(self._api, self._owners, settings, context.timezone)
        self._associations = Associations(self._api, self._contacts, settings, context.state)
        self._reader = CallReader(self._api, self._owners, settings)
        self._follow_ups = FollowUps(self._api, self._contacts, settings, context)

    async def check(self) -> list[Finding]:
        """Check token, scopes, properties and the default owner by requests that write nothing."""
        return await check.check_account(self._api, self._owners, self.name, self.settings)

    async def setup(self) -> list[str]:
        """Create the properties by which the relay finds its records."""
        return await check.create_properties(self._api, self.settings)

    def setup_text(self) -> str:
        """Format the requests that `setup` sends."""
        return check.format_setup_requests(self.settings)

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write the calls; of a call that is given twice, the newest version. HubSpot refuses an id twice."""
        outcomes = await self._upsert(pushes)
        return [outcomes[push.call.id] for push in pushes]

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome:
        """Read records that are not archived, 100 in one request. They have no version."""
        return await self._reader.read(pushes)

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Complete the tasks of these calls, then archive the calls, or mark them depending on `on_merge`.

        A call whose task HubSpot refuses to complete is retracted, and its outcome says so.
        """
        tasks = await self._follow_ups.complete_retracted(retractions)
        refused = {id_: outcome for id_, outcome in tasks.items() if isinstance(outcome, Rejected)}
        outcomes = {id_: outcome for id_, outcome in tasks.items() if id_ not in refused}
        remaining = [retraction for retraction in retractions if retraction.call.id not in outcomes]
        marked = [r for r in remaining if r.call.merged_into and self.settings.on_merge == "mark"]
        outcomes |= await self._calls.mark_merged(marked)
        outcomes |= await self._calls.archive([r for r in remaining if r not in marked])
        return [_with_refused_task(outcomes[r.call.id], refused.get(r.call.id)) for r in retractions]

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Archive these calls and their tasks, and remove their ids and numbers from the client state."""
        failure = await self._follow_ups.delete(retractions)
        if failure is not None:
            return [failure] * len(retractions)
        await self._contacts.forget({n for r in retractions if (n := r.call.external_number)})
        await self._associations.forget({r.call.id for r in retractions})
        await self._follow_ups.forget({r.call.id for r in retractions})
        outcomes = await self._calls.archive(retractions)
        return [outcomes[retraction.call.id] for retraction in retractions]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _upsert(
        self, pushes: Iterable[Push], owner_refusals: Mapping[str, Rejected] | None = None
    ) -> dict[str, Outcome]:
        """Return outcomes by call id. Calls that people changed in HubSpot meanwhile take a second batch.

        `owner_refusals`: call id → why HubSpot refused the call with its owner.
        """
        batch = Batch(pushes, owner_refusals)
        await self._calls.resolve_partial(batch)
        await self._follow_ups.load_taskless(batch)
        await self._find_owners(batch)
        follow_ups = {push.call.id for push in self._follow_ups.needing_follow_up(batch)}
        await self._associations.find_contacts(batch, also=follow_ups)
        repeated = await self._calls.upsert(batch)
        await self._associations.associate(batch)
        await self._follow_ups.update_tasks(batch)
        outcomes = mark_existed(batch.final_outcomes(), batch.existed)
        if not repeated:
            return outcomes
        again = await self._upsert(repeated, batch.refusals[OWNER_REFUSED])
        return mark_existed(outcomes | again, batch.existed)

    async def _find_owners(self, batch: Batch) -> None:
        """Find the owners of calls and tasks; a call whose owner cannot be looked up gets that failure.

        If HubSpot refuses to look up an owner, the call is delivered without one.
        """
        follow_ups = {push.call.id for push in self._follow_ups.needing_follow_up(batch)}
        needed = {p.call.id: self._owner_emails(p, task=p.call.id in follow_ups) for p in batch.open_pushes}
        found = await self._owners.find({email for emails in needed.values() for email in emails})
        batch.owner_ids = {email: owner for email, owner in found.items() if isinstance(owner, str)}
        for id_, emails in needed.items():
            failures = [owner for email in emails if isinstance(owner := found[email], Outcome)]
            if failures:
                _apply_owner_failure(batch, id_, as_refusal(failures[0], records=1))

    def _owner_emails(self, push: Push, *, task: bool) -> set[str]:
        """Return the e-mail addresses whose owner ids the call, or its task, needs."""
        by_agent = self.settings.owners_by_email and (push.first or task or "agent_email" in push.changed)
        candidates = {
            (push.call.agent_email or "") if by_agent else "",
            self._follow_ups.default_owner if task else "",
        }
        return {email for email in candidates if "@" in email}


def _apply_owner_failure(batch: Batch, call_id: str, failure: Outcome) -> None:
    if isinstance(failure, Rejected):
        batch.refusals[OWNER_REFUSED][call_id] = failure
    else:
        batch.outcomes[call_id] = failure


def _with_refused_task(outcome: Outcome, refusal: Rejected | None) -> Outcome:
    if refusal is None or not isinstance(outcome, Delivered):
        return outcome
    message = f"HubSpot refused to complete the call's task. {refusal.message}"
    return msgspec.structs.replace(outcome, code=TASK_REFUSED, message=message)
