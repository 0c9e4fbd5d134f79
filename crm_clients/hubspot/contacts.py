"""The contact of a number: from the cache, else by a search, else newly created if the settings say so.

The lookups of one number run one after the other, and a new contact is cached at once, because a search
does not show it yet.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from crm_clients.base import Context, Outcome
from crm_clients.hubspot.api import SEARCH, Api, ObjectType
from crm_clients.hubspot.call_records import OWNER
from crm_clients.hubspot.errors import ApiFailure, as_destination_failure
from crm_clients.hubspot.new_contacts import NewContacts
from crm_clients.hubspot.responses import JsonObject, Record, RecordResults, to_records
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.locks import KeyedLock
from relay.standards.phones import find_phones, is_dialable, national_digits, spellings

_PHONE_PROPERTIES: Final = ("phone", "mobilephone")
_NATIONAL_PROPERTIES: Final = (
    "hs_searchable_calculated_phone_number",
    "hs_searchable_calculated_mobile_number",
)
"""HubSpot: both hold the number without its country code, however it was typed."""

_ALL_PROPERTIES: Final = (*_NATIONAL_PROPERTIES, *_PHONE_PROPERTIES)
_PAGE_SIZE: Final = 200
_MAX_PAGES: Final = 5
_MAX_SEARCH_LENGTH: Final = 3_000
"""HubSpot: characters in the body of a search."""

_AFTER_LENGTH: Final = 40
"""Characters that the parameter `after` of a later page may need."""

_CACHE_SECONDS: Final = 7 * 86_400.0
"""A number may pass to another contact."""

_OWNER_CACHE_SECONDS: Final = 3_600.0
_NO_CONTACT_CACHE_SECONDS: Final = 300.0

NO_CONTACT: Final = ""
"""The value in place of a record id, if no contact has the number."""

IdsByNumber = dict[str, str | Outcome]
"""By number: a record id or owner id, "" for none, or why it could not be looked up."""


class Contact(msgspec.Struct, frozen=True):
    """A contact that a search found, or that was created."""

    id: str
    owner_id: str = ""


class Contacts:
    """The contacts of one account, by E.164 number."""

    def __init__(self, api: Api, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._new = NewContacts(api, settings, context.state) if settings.contacts == "create" else None
        self._state = context.state
        self._region = context.region
        self._locks = KeyedLock()

    async def find_or_create(self, names: Mapping[str, str | None]) -> IdsByNumber:
        """Return the contact of each number; `names` holds the name for a contact that is created."""
        numbers = [number for number in names if is_dialable(number)]
        async with self._locks.acquire(numbers):
            found: IdsByNumber = dict.fromkeys(names, NO_CONTACT)
            found |= await self._load_cached(numbers)
            unknown = [number for number in numbers if not found[number]]
            if unknown:
                found |= await self._search_or_create({number: names[number] for number in unknown})
        return found

    async def find_owners(self, contact_ids: Mapping[str, str]) -> IdsByNumber:
        """Return the owner id of each contact, by number; "" for a contact without an owner."""
        keys = {_owner_key(number): number for number in contact_ids}
        cached = await self._state.get_many(keys, max_age_seconds=_OWNER_CACHE_SECONDS) if keys else {}
        found: IdsByNumber = {keys[key]: owner_id for key, owner_id in cached.items()}
        unknown = {number: id_ for number, id_ in contact_ids.items() if number not in found}
        if not unknown:
            return found
        records = await self._api.read_records(ObjectType.CONTACTS, sorted({*unknown.values()}), [OWNER])
        if isinstance(records, ApiFailure):
            return found | dict.fromkeys(unknown, self._api.outcome(records))
        owner_ids = {number: _owner_id(records.get(id_)) for number, id_ in unknown.items()}
        await self._state.set_many({_owner_key(number): owner for number, owner in owner_ids.items()})
        return found | owner_ids

    async def find_deleted(self, contact_ids: Collection[str]) -> set[str] | ApiFailure:
        """Return the contacts that were deleted, or merged into others."""
        existing = await self._api.read_records(ObjectType.CONTACTS, sorted({*contact_ids}))
        return existing if isinstance(existing, ApiFailure) else {*contact_ids} - {*existing}

    async def forget(self, numbers: Collection[str]) -> None:
        """Remove these numbers from the client state."""
        keys = [key(number) for number in numbers for key in (_contact_key, _owner_key, _no_contact_key)]
        if keys:
            await self._state.set_many(dict.fromkeys(keys))
        if self._new is not None:
            await self._new.clear_pending(numbers)

    # --- cache ----------------------------------------------------------------------------------

    async def _load_cached(self, numbers: Collection[str]) -> dict[str, str]:
        keys = {_contact_key(number): number for number in numbers}
        cached = await self._state.get_many(keys, max_age_seconds=_CACHE_SECONDS) if keys else {}
        return {keys[key]: contact_id for key, contact_id in cached.items()}

    async def _load_cached_absent(self, numbers: Collection[str]) -> set[str]:
        keys = {_no_contact_key(number): number for number in numbers}
        cached = await self._state.get_many(keys, max_age_seconds=_NO_CONTACT_CACHE_SECONDS)
        return {keys[key] for key in cached}

    async def _cache(self, contacts: Mapping[str, Contact]) -> None:
        values: dict[str, str | None] = {}
        for number, contact in contacts.items():
            values[_contact_key(number)] = contact.id
            values[_owner_key(number)] = contact.owner_id
            values[_no_contact_key(number)] = None
        if values:
            await self._state.set_many(values)
        if self._new is not None:
            await self._new.clear_pending(contacts)

    # --- search ---------------------------------------------------------------------------------

    async def _search_or_create(self, names: Mapping[str, str | None]) -> IdsByNumber:
        absent = await self._load_cached_absent(names) if self._new is None else set()
        numbers = [number for number in names if number not in absent]
        contacts, failures = await self._search(numbers)
        await self._cache(contacts)
        found: IdsByNumber = {number: contact.id for number, contact in contacts.items()} | failures
        unknown = {number: names[number] for number in numbers if number not in found}
        if self._new is None:
            if unknown:
                await self._state.set_many({_no_contact_key(number): "1" for number in unknown})
            return found
        created = await self._new.create(unknown)
        await self._cache({n: Contact(id_) for n, id_ in created.items() if isinstance(id_, str)})
        return found | created

    async def _search(self, numbers: Sequence[str]) -> tuple[dict[str, Contact], dict[str, Outcome]]:
        """Return the contacts found, and why the other numbers could not be searched for.

        If the numbers fit into one search by all properties, one is sent. Otherwise the national number is
        searched for first: it finds nearly all contacts, so this costs the fewest searches.
        """
        found: dict[str, Contact] = {}
        remaining = list(numbers)
        one_search = _fits(remaining)
        for properties in [_ALL_PROPERTIES] if one_search else [_NATIONAL_PROPERTIES, _PHONE_PROPERTIES]:
            for some in _split_to_fit(remaining, properties):
                contacts = await self._search_pages(some, properties)
                if isinstance(contacts, ApiFailure):
                    outcome = as_destination_failure(self._api.outcome(contacts, rate_limit=SEARCH))
                    return found, dict.fromkeys(set(remaining) - set(found), outcome)
                found |= contacts
            remaining = [number for number in remaining if number not in found]
        return found, {}

    async def _search_pages(
        self, numbers: Sequence[str], properties: Sequence[str]
    ) -> dict[str, Contact] | ApiFailure:
        """Send one search, all its pages."""
        found: dict[str, Contact] = {}
        body, after = _search_body(numbers, properties), "0"
        for _ in range(_MAX_PAGES):
            response = await self._api.search(ObjectType.CONTACTS, body | {"after": after})
            if isinstance(response, ApiFailure):
                return response
            for number, contact in self._match_numbers(response, numbers):
                found[number] = choose_contact(found.get(number), contact)
            after = response.next_page
            if not after:
                break
        return found

    def _match_numbers(
        self, response: RecordResults, numbers: Collection[str]
    ) -> Iterator[tuple[str, Contact]]:
        """Compare whole numbers: a national number may also belong to a contact in another country."""
        for record in to_records(response):
            written = [record.properties.get(name, "") for name in _PHONE_PROPERTIES]
            own = {number for text in written for number in find_phones(text, self._region)}
            for number in own.intersection(numbers):
                yield number, Contact(record.id, _owner_id(record))


def choose_contact(known: Contact | None, other: Contact) -> Contact:
    """Of several contacts with the same number, the oldest is linked.

    HubSpot's record ids are growing numbers, written as texts: the oldest contact has the lowest id.
    """
    if known is None:
        return other
    return min(known, other, key=lambda contact: (len(contact.id), contact.id))


def _search_body(numbers: Sequence[str], properties: Sequence[str]) -> JsonObject:
    """One filter group per property. HubSpot joins groups by "or" and permits five of them."""
    whole = sorted({spelling for number in numbers for spelling in spellings(number)})
    national_numbers = sorted({national_digits(spelling) for spelling in whole})
    filters: list[JsonObject] = [
        {
            "propertyName": name,
            "operator": "IN",
            "values": national_numbers if name in _NATIONAL_PROPERTIES else whole,
        }
        for name in properties
    ]
    return {
        "filterGroups": [{"filters": [each]} for each in filters],
        "properties": [*_PHONE_PROPERTIES, OWNER],
        "sorts": [],
        "limit": _PAGE_SIZE,
    }


def _fits(numbers: Sequence[str], properties: Sequence[str] = _ALL_PROPERTIES) -> bool:
    return len(msgspec.json.encode(_search_body(numbers, properties))) <= _MAX_SEARCH_LENGTH - _AFTER_LENGTH


def _split_to_fit(numbers: Sequence[str], properties: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split into as few parts as possible: in halves, until each fits into one search."""
    if not numbers:
        return
    if len(numbers) == 1 or _fits(numbers, properties):
        yield numbers
        return
    middle = len(numbers) // 2
    yield from _split_to_fit(numbers[:middle], properties)
    yield from _split_to_fit(numbers[middle:], properties)


def _owner_id(contact: Record | None) -> str:
    return contact.properties.get(OWNER, "") if contact else ""


def _contact_key(number: str) -> str:
    return f"contact:{number}"


def _owner_key(number: str) -> str:
    return f"contact_owner:{number}"


def _no_contact_key(number: str) -> str:
    return f"no_contact:{number}"
