"""HubSpot: one call engagement per call, linked to its contact, with its owner, and a task if missed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from crm_clients.base import Context, CrmClient, Finding, Outcome, Push, Rejected, Retraction, Retry
from crm_clients.hubspot import check
from crm_clients.hubspot.api import CALLS, Api, ApiFailure, Said, failures_of, in_batches, results_of
from crm_clients.hubspot.calls import input_of
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.followups import FollowUps
from crm_clients.hubspot.links import Links
from crm_clients.hubspot.owners import Owners
from crm_clients.hubspot.rounds import Batch
from crm_clients.hubspot.settings import CALL_ID, HubSpotSettings
from crm_clients.hubspot.taking_back import archive, mark
from crm_clients.settings import DestinationSettings
from relay.call import DELIVERED_FIELDS

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
_NO_RESULT: Final = Retry(code="no_result", message="HubSpot said nothing of this record.")


class HubSpotClient(CrmClient[HubSpotSettings]):
    """Brings calls to HubSpot in batches: contacts, then calls, then links, then tasks.

    A call counts as delivered when all of these are there; each step can be repeated without harm.
    """

    Settings: ClassVar[type[DestinationSettings]] = HubSpotSettings

    def __init__(self, name: str, settings: HubSpotSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._api = Api(settings, context)
        self._owners = Owners(self._api, context.state)
        self._contacts = Contacts(self._api, settings, context)
        self._links = Links(self._api, self._contacts, settings, context.state)
        self._followups = FollowUps(self._api, self._contacts, settings, context)

    async def check(self) -> list[Finding]:
        """Look by requests that write nothing."""
        return await check.findings(self._api, self._owners, self.name, self.settings)

    async def setup(self) -> list[str]:
        """Make the properties that records are found by."""
        return await check.set_up(self._api, self.settings)

    def setup_text(self) -> str:
        """The requests that `setup` sends."""
        return check.setup_text(self.settings)

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Bring them; of a call that is named twice its newest version, as HubSpot refuses one id twice."""
        outcomes = await self._bring(pushes)
        return [outcomes[push.call.id] for push in pushes]

    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        """Those of which HubSpot has no call; one that was archived is not there."""
        asked = list(dict.fromkeys(push.call.id for push in pushes))
        read = await self._api.read(CALLS, asked, [], by=CALL_ID)
        return {*asked} - {*read} if isinstance(read, dict) else self._api.outcome(read)

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Archive these calls, or mark those that are part of another; and let nobody call back for them."""
        outcomes = await self._followups.release(retractions)
        going = [retraction for retraction in retractions if retraction.call.id not in outcomes]
        marked = [r for r in going if r.call.merged_into and self.settings.on_merge == "mark"]
        outcomes |= await mark(self._api, marked)
        outcomes |= await archive(self._api, [r for r in going if r not in marked])
        return [outcomes[retraction.call.id] for retraction in retractions]

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Archive these calls and their tasks, and remember nothing of their numbers."""
        trouble = await self._followups.delete(retractions)
        if trouble is not None:
            return [trouble] * len(retractions)
        await self._contacts.forget({n for r in retractions if (n := r.call.external_number)})
        await self._links.forget({r.call.id for r in retractions})
        outcomes = await archive(self._api, retractions)
        return [outcomes[retraction.call.id] for retraction in retractions]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    # --- bringing -------------------------------------------------------------------------------

    async def _bring(self, pushes: Iterable[Push]) -> dict[str, Outcome]:
        """What became of each call; what people have changed in HubSpot meanwhile takes a second round."""
        round_ = Batch(pushes)
        await self._find_owners(round_)
        await self._links.look_up(round_, besides={push.call.id for push in self._followups.due(round_)})
        again = await self._write(round_)
        await self._links.link(round_)
        await self._followups.settle(round_)
        return round_.result() | (await self._bring(again) if again else {})

    async def _find_owners(self, round_: Batch) -> None:
        due = {push.call.id for push in self._followups.due(round_)}
        asking = {p.call.id: self._emails(p, due=p.call.id in due) for p in round_.left}
        emails = {email for asked in asking.values() for email in asked}
        found = await self._owners.of(emails) if emails else {}
        round_.owners = {email: owner for email, owner in found.items() if not isinstance(owner, Outcome)}
        for id_, asked in asking.items():
            if trouble := next((o for email in asked if isinstance(o := found[email], Outcome)), None):
                round_.outcomes[id_] = trouble

    def _emails(self, push: Push, *, due: bool) -> set[str]:
        """Whose owners must be known to bring this."""
        agent = push.call.agent_email or ""
        wanted = self.settings.owners_by_email and (push.first or due or "agent_email" in push.changed)
        default = self._followups.default_owner if due else ""
        return {email for email in (agent if wanted else "", default) if "@" in email}

    async def _write(self, round_: Batch) -> list[Push]:
        """Upsert the calls; those come back that are to be brought once more, for another owner or whole."""
        now = datetime.now(self.context.timezone)
        inputs: dict[str, Said] = {}
        for push in round_.left:
            said = input_of(push, self.settings, owner=round_.agent_of(push), now=now)
            if said is None:
                round_.records[push.call.id] = str(push.remote_id)
            else:
                inputs[push.call.id] = said
        renewed: list[Push] = []
        for ids in in_batches(list(inputs)):
            body = {"inputs": [inputs[id_] for id_ in ids]}
            answer = await self._api.post(self._api.paths.batch(CALLS, "upsert"), body)
            renewed += self._read_answer(round_, answer, ids)
        lost = [*renewed, *await self._lost(round_)]
        round_.fail([push.call.id for push in lost], _NO_RESULT)  # until they are written whole
        whole = [msgspec.structs.replace(push, first=True, changed=_ALL_FIELDS) for push in lost]
        return whole + await self._disowned(round_)

    async def _disowned(self, round_: Batch) -> list[Push]:
        """Those refused while the owner that was remembered for their agent is another now, or gone."""
        rejected = [id_ for id_, outcome in round_.outcomes.items() if isinstance(outcome, Rejected)]
        refused = [push for id_ in rejected if round_.agent_of(push := round_.pushes[id_])]
        emails = {str(push.call.agent_email) for push in refused}
        await self._owners.forget(emails)
        found = await self._owners.of(emails)
        again = [push for push in refused if found[str(push.call.agent_email)] != round_.agent_of(push)]
        round_.fail([push.call.id for push in again], _NO_RESULT)
        return again

    async def _lost(self, round_: Batch) -> list[Push]:
        """Those refused because HubSpot has them no more, and a part of their fields makes no call."""
        refused = [
            id_
            for id_, outcome in round_.outcomes.items()
            if isinstance(outcome, Rejected) and not round_.pushes[id_].first
        ]
        there = await self._api.read(CALLS, refused, [], by=CALL_ID)
        return [round_.pushes[id_] for id_ in refused if id_ not in there] if isinstance(there, dict) else []

    def _read_answer(self, round_: Batch, said: Said | ApiFailure, ids: Sequence[str]) -> list[Push]:
        if not isinstance(said, dict):
            round_.fail(ids, self._api.outcome(said, records=len(ids)))
            return []
        renewed = []
        for id_, each in _results(said, ids).items():
            push = round_.pushes[id_]
            round_.records[id_] = str(each["id"])
            if each.get("new") is True and not push.first:
                renewed.append(push)
        self._blame(round_, said, [id_ for id_ in ids if id_ not in round_.records])
        return renewed

    def _blame(self, round_: Batch, said: Said, failed: Sequence[str]) -> None:
        """HubSpot names the failed by their trace ids; without a name any of them may be the bad one."""
        faults = failures_of(said)
        named = {text: fault for fault in faults for text in fault.ids}
        for id_ in failed:
            if id_ in named:
                round_.outcomes[id_] = self._api.outcome(named[id_])
            elif faults:
                round_.outcomes[id_] = self._api.outcome(faults[0], records=len(failed))
            else:
                round_.outcomes[id_] = _NO_RESULT


def _results(said: Said, ids: Sequence[str]) -> Mapping[str, Said]:
    """What was written, by the call's id: HubSpot repeats the trace id, and the property that was set."""
    by_id: dict[str, Said] = {}
    for each in results_of(said):
        names = (each.get("objectWriteTraceId"), (each.get("properties") or {}).get(CALL_ID))
        by_id |= {str(name): each for name in names if name in ids}
    return by_id
