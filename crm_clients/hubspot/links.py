"""Which contact a call is with: looked for, linked, and looked for again while there is none."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from crm_clients.base import ClientState, Misconfigured, Outcome, Push, Rejected
from crm_clients.hubspot.api import (
    CALLS,
    CONTACTS,
    Api,
    ApiFailure,
    Said,
    failures_of,
    in_batches,
    is_named,
    results_of,
)
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.errors import ApiError
from crm_clients.hubspot.rounds import Batch
from crm_clients.hubspot.settings import HubSpotSettings
from relay.standards.phones import is_e164

CALL_TO_CONTACT: Final = 194
TASK_TO_CONTACT: Final = 204
"""HubSpot's own types of association."""

Pair = tuple[str, str]
"""The record ids of a call and of a contact."""


def type_of(type_id: int) -> Said:
    """A type that every account has."""
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}


class Links:
    """The links of an account's calls to its contacts."""

    def __init__(self, api: Api, contacts: Contacts, settings: HubSpotSettings, memory: ClientState) -> None:
        self._api = api
        self._contacts = contacts
        self._off = settings.contacts == "off"
        self._state = memory

    async def look_up(self, round_: Batch, *, besides: Collection[str]) -> None:
        """Find the contacts of the calls that are to be linked, and of those `besides`."""
        if self._off:
            return
        old = [push.call.id for push in round_.left if not push.first]
        kept = await self._state.get_many([_key(id_) for id_ in old]) if old else {}
        round_.unlinked = {id_ for id_ in old if _key(id_) in kept}
        wanted = [push for push in round_.left if push.call.id in besides or _is_to_link(push, round_)]
        await self._find(round_, wanted)

    async def link(self, round_: Batch) -> None:
        """Link them. A contact that was remembered may be gone: then it is looked for once more."""
        if self._off:
            return
        failed = await self._link(round_, [push for push in round_.left if _is_to_link(push, round_)])
        if failed:
            again = await self._find_again(round_, failed)
            failed = await self._link(round_, again)
        for id_, trouble in failed.items():
            named = is_named(round_.records[id_], trouble)
            outcome = self._api.outcome(trouble, records=1 if named else len(failed))
            round_.outcomes[id_] = _of_the_call(outcome)
        await self._note(round_)

    async def forget(self, ids: Collection[str]) -> None:
        """Remember nothing of these calls."""
        if ids:
            await self._state.set_many({_key(id_): None for id_ in ids})

    async def _find(self, round_: Batch, pushes: Sequence[Push]) -> None:
        names = {p.call.external_number: p.call.contact_name for p in pushes if p.call.external_number}
        found = await self._contacts.of(names) if names else {}
        for push in pushes:
            contact = found.get(push.call.external_number or "", "")
            if isinstance(contact, Outcome):
                round_.outcomes[push.call.id] = contact
            elif push.call.external_number:
                round_.contacts[push.call.external_number] = contact

    async def _find_again(self, round_: Batch, failed: Mapping[str, ApiFailure]) -> list[Push]:
        """Forget the contacts that are gone; the calls that are worth another try."""
        pushes = [round_.pushes[id_] for id_ in failed]
        gone = await self._contacts.gone({round_.contact_of(push) for push in pushes})
        if not isinstance(gone, set):
            round_.fail(failed, self._api.outcome(gone))
            return []
        orphans = [push for push in pushes if round_.contact_of(push) in gone]
        await self._contacts.forget({str(push.call.external_number) for push in orphans})
        await self._find(round_, orphans)
        return [push for push in pushes if push.call.id not in round_.outcomes]

    async def _link(self, round_: Batch, pushes: Sequence[Push]) -> dict[str, ApiFailure]:
        """What could not be linked, by the call's id, that another contact might mend."""
        pairs = {
            push.call.id: (round_.records[push.call.id], contact)
            for push in pushes
            if (contact := round_.contact_of(push))
        }
        failed = await _associate(self._api, list(pairs.values()))
        troubles = {id_: failed[pair] for id_, pair in pairs.items() if pair in failed}
        mendable = {id_: trouble for id_, trouble in troubles.items() if _may_be_gone(trouble)}
        for id_ in troubles.keys() - mendable.keys():
            round_.outcomes[id_] = self._api.outcome(troubles[id_], records=len(troubles))
        return mendable

    async def _note(self, round_: Batch) -> None:
        """A call without a contact is linked at a later delivery, should there be one by then."""
        values: dict[str, str | None] = {}
        for push in round_.left:
            if is_e164(push.call.external_number) and _is_to_link(push, round_):
                linked = bool(round_.contact_of(push))
                if linked != (push.call.id not in round_.unlinked):
                    values[_key(push.call.id)] = None if linked else "1"
        if values:
            await self._state.set_many(values)


def _is_to_link(push: Push, round_: Batch) -> bool:
    return push.first or "external_number" in push.changed or push.call.id in round_.unlinked


async def _associate(api: Api, pairs: Sequence[Pair]) -> dict[Pair, ApiFailure]:
    """Link these, which does no harm where they are; what could not be linked."""
    failed: dict[Pair, ApiFailure] = {}
    for some in in_batches(list(dict.fromkeys(pairs))):
        inputs = [
            {"from": {"id": call}, "to": {"id": contact}, "types": [type_of(CALL_TO_CONTACT)]}
            for call, contact in some
        ]
        said = await api.post(api.paths.associations(CALLS, CONTACTS), {"inputs": inputs})
        failed |= dict(_failed(said, some)) if isinstance(said, dict) else dict.fromkeys(some, said)
    return failed


def _failed(said: Said, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, ApiFailure]]:
    """HubSpot names the links that it made; of the others its errors say why."""
    faults = failures_of(said)
    if not faults and not said.get("numErrors"):
        return
    made = {_pair_of(each) for each in results_of(said)}
    first = faults[0] if faults else ApiError(400, message="HubSpot did not say why it made no link.")
    for pair in pairs:
        if pair not in made:
            yield pair, next((fault for fault in faults if fault.ids.intersection(pair)), first)


def _pair_of(result: Said) -> Pair:
    """HubSpot spells its results in two ways, flat and as objects."""
    ends = ((result.get(f"{end}ObjectId"), (result.get(end) or {}).get("id")) for end in ("from", "to"))
    call, contact = (str(nested if flat is None else flat) for flat, nested in ends)
    return call, contact


def _may_be_gone(trouble: ApiFailure) -> bool:
    return isinstance(trouble, ApiError) and trouble.status in {400, 404}


def _of_the_call(outcome: Outcome) -> Outcome:
    """A link that is refused though its ends are there: that call is at fault, not the account."""
    if isinstance(outcome, Misconfigured):
        return Rejected(code=outcome.code, message=outcome.message)
    return outcome


def _key(id_: str) -> str:
    return f"unlinked:{id_}"
