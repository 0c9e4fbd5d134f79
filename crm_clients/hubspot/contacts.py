"""The contacts of a number: from the cache, else by a search, else newly created if the settings say so.

The lookups of one number run one after the other, and a new contact is cached at once, because a search
does not show it yet.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

from crm_clients.base import Context, Outcome
from crm_clients.hubspot.api import Api, ObjectType
from crm_clients.hubspot.call_records import OWNER
from crm_clients.hubspot.contact_search import Contact, ContactSearch, Failures, Matches
from crm_clients.hubspot.errors import ApiFailure
from crm_clients.hubspot.new_contacts import NewContacts
from crm_clients.hubspot.responses import Record
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.locks import KeyedLock
from relay.standards.phones import is_dialable

_CACHE_SECONDS: Final = 7 * 86_400.0
"""A number may pass to another contact."""

_OWNER_CACHE_SECONDS: Final = 3_600.0
_NO_CONTACT_CACHE_SECONDS: Final = 300.0

ContactIds = tuple[str, ...]
"""The record ids of the contacts that a call is linked to; empty if there is none."""

ContactIdsByNumber = dict[str, ContactIds | Outcome]
"""By number: its contacts, or why they could not be looked up."""

OwnerIdsByNumber = dict[str, str | Outcome]
"""By number: the owner id of its contact, "" for none, or why it could not be looked up."""


class Contacts:
    """The contacts of one account, by E.164 number."""

    def __init__(self, api: Api, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._new = NewContacts(api, settings, context.state) if settings.contacts == "create" else None
        self._state = context.state
        self._search = ContactSearch(api, settings, context.region)
        self._on_many = settings.contacts_on_many
        self._locks = KeyedLock()

    async def find_or_create(self, names: Mapping[str, str | None]) -> ContactIdsByNumber:
        """Return the contacts of each number; `names` holds the name for a contact that is created."""
        numbers = [number for number in names if is_dialable(number)]
        async with self._locks.acquire(numbers):
            found: ContactIdsByNumber = dict.fromkeys(names, ())
            found |= await self._load_cached(numbers)
            unknown = [number for number in numbers if not found[number]]
            if unknown:
                found |= await self._search_or_create({number: names[number] for number in unknown})
        return found

    async def find_owners(self, contact_ids: Mapping[str, ContactIds]) -> OwnerIdsByNumber:
        """Return by number the owner id of the first of its contacts that has an owner, "" for none."""
        keys = {_owner_key(number): number for number in contact_ids}
        cached = await self._state.get_many(keys, max_age_seconds=_OWNER_CACHE_SECONDS)
        found: OwnerIdsByNumber = {keys[key]: owner_id for key, owner_id in cached.items()}
        unknown = {number: ids for number, ids in contact_ids.items() if number not in found}
        if not unknown:
            return found
        ids = sorted({id_ for ids in unknown.values() for id_ in ids})
        records = await self._api.read_records(ObjectType.CONTACTS, ids, [OWNER])
        if isinstance(records, ApiFailure):
            return found | dict.fromkeys(unknown, self._api.outcome(records))
        owner_ids = {
            number: _first_owner(_owner_id(records.get(id_)) for id_ in ids)
            for number, ids in unknown.items()
        }
        await self._state.set_many({_owner_key(number): owner for number, owner in owner_ids.items()})
        return found | owner_ids

    async def find_deleted(self, contact_ids: Collection[str]) -> set[str] | ApiFailure:
        """Return the contacts that were deleted, or merged into others."""
        existing = await self._api.read_records(ObjectType.CONTACTS, sorted({*contact_ids}))
        return existing if isinstance(existing, ApiFailure) else {*contact_ids} - {*existing}

    async def forget(self, numbers: Collection[str]) -> None:
        """Remove these numbers from the client state."""
        keys = [key(number) for number in numbers for key in (self._contact_key, _owner_key, _no_contact_key)]
        await self._state.set_many(dict.fromkeys(keys))
        if self._new is not None:
            await self._new.clear_pending(numbers)

    # --- cache ----------------------------------------------------------------------------------

    async def _load_cached(self, numbers: Collection[str]) -> dict[str, ContactIds]:
        keys = {self._contact_key(number): number for number in numbers}
        cached = await self._state.get_many(keys, max_age_seconds=_CACHE_SECONDS)
        return {keys[key]: tuple(ids.split(",")) for key, ids in cached.items()}

    async def _load_cached_absent(self, numbers: Collection[str]) -> set[str]:
        keys = {_no_contact_key(number): number for number in numbers}
        cached = await self._state.get_many(keys, max_age_seconds=_NO_CONTACT_CACHE_SECONDS)
        return {keys[key] for key in cached}

    async def _cache(self, contacts: Mapping[str, Sequence[Contact]]) -> None:
        values: dict[str, str | None] = {}
        for number, chosen in contacts.items():
            values[self._contact_key(number)] = ",".join(contact.id for contact in chosen)
            values[_owner_key(number)] = _first_owner(contact.owner_id for contact in chosen)
            values[_no_contact_key(number)] = None
        await self._state.set_many(values)
        if self._new is not None:
            await self._new.clear_pending(contacts)

    def _contact_key(self, number: str) -> str:
        """With the setting, so that a change of it applies to cached numbers too."""
        return f"contact:{self._on_many}:{number}"

    # --- search ---------------------------------------------------------------------------------

    async def _search_or_create(self, names: Mapping[str, str | None]) -> ContactIdsByNumber:
        absent = await self._load_cached_absent(names) if self._new is None else set()
        numbers = [number for number in names if number not in absent]
        matches, failures = await self._find(numbers)
        chosen = {number: choose_contacts(found, self._on_many) for number, found in matches.items()}
        await self._cache({number: contacts for number, contacts in chosen.items() if contacts})
        found: ContactIdsByNumber = {number: _ids(contacts) for number, contacts in chosen.items()}
        found |= failures
        unknown = {number: names[number] for number in numbers if number not in found}
        if self._new is None:
            await self._state.set_many({_no_contact_key(number): "1" for number in unknown})
            return found
        created = await self._new.create(unknown)
        new = {number: [Contact(id_)] for number, id_ in created.items() if isinstance(id_, str)}
        await self._cache(new)
        refused = {number: outcome for number, outcome in created.items() if isinstance(outcome, Outcome)}
        return found | refused | {number: _ids(contacts) for number, contacts in new.items()}

    async def _find(self, numbers: Sequence[str]) -> tuple[Matches, Failures]:
        """Search for contacts: more thoroughly if a contact would be created otherwise."""
        matches, failures = await self._search.find(numbers)
        if self._new is None:
            return matches, failures
        unknown = [number for number in numbers if number not in matches and number not in failures]
        further_matches, further_failures = await self._search.find_among_others(unknown)
        return matches | further_matches, failures | further_failures


def choose_contacts(
    contacts: Sequence[Contact], on_many: Literal["oldest", "newest", "all", "none"]
) -> list[Contact]:
    """Return the contacts that a call is linked to, the oldest one first.

    HubSpot's record ids are growing numbers, written as texts: the oldest contact has the lowest id.
    """
    by_age = sorted(contacts, key=lambda contact: (len(contact.id), contact.id))
    if len(by_age) == 1:
        return by_age
    match on_many:
        case "oldest":
            return by_age[:1]
        case "newest":
            return by_age[-1:]
        case "all":
            return by_age
        case "none":
            return []


def _ids(contacts: Sequence[Contact]) -> ContactIds:
    return tuple(contact.id for contact in contacts)


def _first_owner(owner_ids: Iterable[str]) -> str:
    return next(filter(None, owner_ids), "")


def _owner_id(contact: Record | None) -> str:
    return contact.properties.get(OWNER, "") if contact else ""


def _owner_key(number: str) -> str:
    return f"contact_owner:{number}"


def _no_contact_key(number: str) -> str:
    return f"no_contact:{number}"
