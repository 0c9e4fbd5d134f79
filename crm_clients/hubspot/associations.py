"""The association of a call with its contacts; tried again at later deliveries if there is none."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from crm_clients.base import ClientState, Outcome, Push, Rejected
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.batch import CONTACT_REFUSED, Batch
from crm_clients.hubspot.contacts import Contacts
from crm_clients.hubspot.errors import ApiError, ApiFailure, as_call_failure, as_refusal, names_record
from crm_clients.hubspot.responses import AssociationObject, JsonObject, Results
from crm_clients.hubspot.settings import HubSpotSettings
from relay.standards.phones import is_dialable

CALL_TO_CONTACT: Final = 194
TASK_TO_CONTACT: Final = 204
"""HubSpot: ids of association types that every account has."""

_NO_RESULT: Final = ApiError(503, message="HubSpot's response does not mention the association.")

AssociationResults = Results[AssociationObject]

Pair = tuple[str, str]
"""The record ids of a call and of its contact."""


def association_type(type_id: int) -> JsonObject:
    """Build the JSON of an association type that HubSpot defines."""
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}


class Associations:
    """The associations of an account's calls with its contacts."""

    def __init__(self, api: Api, contacts: Contacts, settings: HubSpotSettings, state: ClientState) -> None:
        self._api = api
        self._contacts = contacts
        self._disabled = settings.contacts == "off"
        self._state = state

    async def find_contacts(self, batch: Batch, *, also: Collection[str]) -> None:
        """Find the contacts of the calls that need an association, and of the calls `also`."""
        if self._disabled:
            return
        delivered_before = [push.call.id for push in batch.open_pushes if not push.first]
        keys = {_state_key(id_): id_ for id_ in delivered_before}
        unlinked = await self._state.get_many(keys)
        batch.unlinked = {keys[key] for key in unlinked}
        wanted = [p for p in batch.open_pushes if p.call.id in also or _needs_association(p, batch)]
        await self._find(batch, wanted)

    async def associate(self, batch: Batch) -> None:
        """Associate calls and contacts. A cached contact may be deleted: then it is looked up once more."""
        if self._disabled:
            return
        failed = await self._associate(batch, [p for p in batch.open_pushes if _needs_association(p, batch)])
        if failed:
            repeated = await self._find_contacts_again(batch, failed)
            failed = await self._associate(batch, repeated)
        for id_, failure in failed.items():
            blamed = names_record(failure, batch.record_ids[id_])
            outcome = self._api.outcome(failure, records=1 if blamed else len(failed))
            # Call and contact exist, so a refused association is no fault of the account.
            _apply_outcome(batch, id_, as_call_failure(outcome))
        await self._store_unlinked(batch)

    async def forget(self, call_ids: Collection[str]) -> None:
        """Remove these calls from the client state."""
        await self._state.set_many({_state_key(id_): None for id_ in call_ids})

    async def _find(self, batch: Batch, pushes: Sequence[Push]) -> None:
        names = {p.call.external_number: p.call.contact_name for p in pushes if p.call.external_number}
        found = await self._contacts.find_or_create(names) if names else {}
        for push in pushes:
            contact_ids = found.get(push.call.external_number or "", ())
            if isinstance(contact_ids, Outcome):
                _apply_outcome(batch, push.call.id, contact_ids)
            elif push.call.external_number:
                batch.contact_ids[push.call.external_number] = contact_ids

    async def _find_contacts_again(self, batch: Batch, failed: Mapping[str, ApiFailure]) -> list[Push]:
        """Look up the successors of deleted contacts; return the pushes to associate again."""
        pushes = [batch.pushes[id_] for id_ in failed]
        contact_ids = {id_ for push in pushes for id_ in batch.contacts_of(push)}
        deleted = await self._contacts.find_deleted(contact_ids)
        if isinstance(deleted, ApiFailure):
            batch.fail(failed, self._api.outcome(deleted))
            return []
        affected = [push for push in pushes if not deleted.isdisjoint(batch.contacts_of(push))]
        await self._contacts.forget({str(push.call.external_number) for push in affected})
        await self._find(batch, affected)
        return [push for push in pushes if push.call.id not in batch.outcomes]

    async def _associate(self, batch: Batch, pushes: Sequence[Push]) -> dict[str, ApiFailure]:
        """Return by call id the failures that a deleted contact may explain; other failures are final."""
        pairs = {
            (batch.record_ids[push.call.id], contact_id): push.call.id
            for push in pushes
            for contact_id in batch.contacts_of(push)
        }
        failed: dict[str, ApiFailure] = {}
        for pair, failure in (await self._create_associations(pairs)).items():
            # Of a call with several contacts, a failure that passes by itself counts before a refusal.
            if pairs[pair] not in failed or not isinstance(self._api.outcome(failure), Rejected):
                failed[pairs[pair]] = failure
        repeatable = {id_: failure for id_, failure in failed.items() if _may_be_deleted(failure)}
        for id_ in failed.keys() - repeatable.keys():
            outcome = self._api.outcome(failed[id_], records=len(failed))
            _apply_outcome(batch, id_, as_refusal(outcome, records=len(failed)))
        return repeatable

    async def _create_associations(self, pairs: Iterable[Pair]) -> dict[Pair, ApiFailure]:
        """Return the pairs that failed. An association that exists already counts as created."""
        failed: dict[Pair, ApiFailure] = {}
        path = self._api.paths.create_associations(ObjectType.CALLS, ObjectType.CONTACTS)
        for chunk in chunks(list(pairs)):
            inputs = [
                {"from": {"id": call}, "to": {"id": contact}, "types": [association_type(CALL_TO_CONTACT)]}
                for call, contact in chunk
            ]
            response = await self._api.post(path, {"inputs": inputs}, AssociationResults)
            if isinstance(response, ApiFailure):
                failed |= dict.fromkeys(chunk, response)
            else:
                failed |= dict(_failed_pairs(response, chunk))
        return failed

    async def _store_unlinked(self, batch: Batch) -> None:
        """Store which calls have no contact: a later delivery associates them if there is one by then."""
        values: dict[str, str | None] = {}
        for push in batch.open_pushes:
            if is_dialable(push.call.external_number) and _needs_association(push, batch):
                refused = push.call.id in batch.refusals[CONTACT_REFUSED]
                linked = bool(batch.contacts_of(push)) and not refused
                was_linked = push.call.id not in batch.unlinked
                if linked != was_linked:
                    values[_state_key(push.call.id)] = None if linked else "1"
        await self._state.set_many(values)


def _apply_outcome(batch: Batch, call_id: str, outcome: Outcome) -> None:
    """A call whose contact or link is refused is delivered without it."""
    if isinstance(outcome, Rejected):
        batch.refusals[CONTACT_REFUSED][call_id] = outcome
    else:
        batch.outcomes[call_id] = outcome


def _needs_association(push: Push, batch: Batch) -> bool:
    return push.first or "external_number" in push.changed or push.call.id in batch.unlinked


def _failed_pairs(response: AssociationResults, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, ApiFailure]]:
    """HubSpot lists the associations that it made; the errors say why the others failed."""
    errors = response.errors
    made = {result.ends for result in response.results}
    unnamed = errors[0] if errors else _NO_RESULT
    for pair in pairs:
        if pair not in made:
            yield pair, next((error for error in errors if error.context_ids.intersection(pair)), unnamed)


def _may_be_deleted(failure: ApiFailure) -> bool:
    return isinstance(failure, ApiError) and failure.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}


def _state_key(call_id: str) -> str:
    return f"unlinked:{call_id}"
