"""Which contact has a number: remembered, else searched for, else made if the team wants that.

Each number has one look-up at a time, and what was made is remembered at once: a search does not see it
yet.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from crm_clients.base import Context, Misconfigured, Outcome, Rejected
from crm_clients.hubspot.api import CONTACTS, SEARCH, Api, ApiFailure, Said, next_page, results_of
from crm_clients.hubspot.new_contacts import NewContacts
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.locks import KeyedLock
from relay.standards.phones import is_e164, national_digits, normalize_typed_phone

_PHONE_FIELDS: Final = ("phone", "mobilephone")
_SEARCHABLE: Final = (
    "hs_searchable_calculated_phone_number",
    "hs_searchable_calculated_mobile_number",
)
"""HubSpot: both hold the number without its country code, whatever way it was typed."""

_ALL_FIELDS: Final = (*_SEARCHABLE, *_PHONE_FIELDS)
_OWNER: Final = "hubspot_owner_id"
_PAGE: Final = 200
_MOST_PAGES: Final = 5
_LONGEST_SEARCH: Final = 3_000
"""HubSpot: characters in the body of a search; a longer one is refused."""

_ROOM_FOR_AFTER: Final = 40
_KNOWN_SECONDS: Final = 7 * 86_400.0
"""A number may pass on to another contact."""

_OWNED_SECONDS: Final = 3_600.0
_ABSENT_SECONDS: Final = 300.0

Found = dict[str, str | Outcome]
"""The contact's id of each number, NONE where there is none, or why it is not known."""

NONE: Final = ""


class Contact(msgspec.Struct, frozen=True):
    """A contact with the number that was asked for."""

    id: str
    owner: str = ""


class Contacts:
    """Contacts by number."""

    def __init__(self, api: Api, settings: HubSpotSettings, context: Context) -> None:
        self._api = api
        self._new = NewContacts(api, context.state) if settings.contacts == "create" else None
        self._state = context.state
        self._region = context.region
        self._locks = KeyedLock()

    async def of(self, names: Mapping[str, str | None]) -> Found:
        """The contact of each of these E.164 numbers; the names are for those that are to be made."""
        wanted = [number for number in names if is_e164(number)]
        async with self._locks.acquire(wanted):
            found: Found = dict.fromkeys(names, NONE)
            found |= await self._remembered(wanted)
            unknown = [number for number in wanted if not found[number]]
            if unknown:
                found |= await self._look_up({number: names[number] for number in unknown})
        return found

    async def owners(self, contacts: Mapping[str, str]) -> Found:
        """The owner's id of each contact, by number; "" where it has none."""
        kept = await self._state.get_many([_owner_key(n) for n in contacts], max_age_seconds=_OWNED_SECONDS)
        found: Found = {n: kept[key] for n in contacts if (key := _owner_key(n)) in kept}
        unknown = {number: id_ for number, id_ in contacts.items() if number not in found}
        if not unknown:
            return found
        read = await self._api.read(CONTACTS, sorted({*unknown.values()}), [_OWNER])
        if not isinstance(read, dict):
            return found | dict.fromkeys(unknown, self._api.outcome(read))
        fresh = {number: _owner_of(read.get(id_, {})) for number, id_ in unknown.items()}
        await self._state.set_many({_owner_key(number): owner for number, owner in fresh.items()})
        return found | fresh

    async def gone(self, ids: Collection[str]) -> set[str] | ApiFailure:
        """Those of these contacts that were deleted, or merged into others, meanwhile."""
        read = await self._api.read(CONTACTS, sorted({*ids}), [])
        return read if not isinstance(read, dict) else {*ids} - {*read}

    async def forget(self, numbers: Collection[str]) -> None:
        """Remember nothing of these numbers."""
        if numbers:
            await self._state.set_many({f(n): None for n in numbers for f in (_key, _owner_key, _absent_key)})
        if self._new is not None:
            await self._new.forget(numbers)

    # --- remembering ----------------------------------------------------------------------------

    async def _remembered(self, numbers: Collection[str]) -> dict[str, str]:
        kept = (
            await self._state.get_many([_key(n) for n in numbers], max_age_seconds=_KNOWN_SECONDS)
            if numbers
            else {}
        )
        return {number: kept[key] for number in numbers if (key := _key(number)) in kept}

    async def _remember(self, contacts: Mapping[str, Contact]) -> None:
        values: dict[str, str | None] = {}
        for number, contact in contacts.items():
            values |= {_key(number): contact.id, _owner_key(number): contact.owner}
            values |= {_absent_key(number): None}
        if values:
            await self._state.set_many(values)
        if self._new is not None:
            await self._new.forget(contacts)

    # --- looking up -----------------------------------------------------------------------------

    async def _look_up(self, names: Mapping[str, str | None]) -> Found:
        absent = await self._lately_absent(names) if self._new is None else set()
        asked = [number for number in names if number not in absent]
        hits, troubles = await self._search(asked)
        await self._remember(hits)
        found: Found = {number: contact.id for number, contact in hits.items()} | troubles
        left = {number: names[number] for number in asked if number not in found}
        if self._new is None:
            await self._note_absent(left)
            return found
        made = await self._new.make(left)
        await self._remember({n: Contact(id_) for n, id_ in made.items() if isinstance(id_, str)})
        return found | made

    async def _lately_absent(self, numbers: Collection[str]) -> set[str]:
        kept = await self._state.get_many([_absent_key(n) for n in numbers], max_age_seconds=_ABSENT_SECONDS)
        return {number for number in numbers if _absent_key(number) in kept}

    async def _note_absent(self, numbers: Collection[str]) -> None:
        if numbers:
            await self._state.set_many({_absent_key(number): "1" for number in numbers})

    async def _search(self, numbers: Sequence[str]) -> tuple[dict[str, Contact], dict[str, Outcome]]:
        """By all four fields where that fits into one search, else by the national number first.

        That finds nearly all of them, and so costs the fewest searches.
        """
        hits: dict[str, Contact] = {}
        rest = list(numbers)
        for fields in [_ALL_FIELDS] if _fits(rest) else [_SEARCHABLE, _PHONE_FIELDS]:
            for some in _fitting(rest, fields):
                answer = await self._search_some(some, fields)
                if not isinstance(answer, dict):
                    return hits, dict.fromkeys(set(rest) - set(hits), self._search_outcome(answer))
                hits |= answer
            rest = [number for number in rest if number not in hits]
        return hits, {}

    def _search_outcome(self, trouble: ApiFailure) -> Outcome:
        """A search that HubSpot does not take is no call's fault."""
        outcome = self._api.outcome(trouble, rate_limit=SEARCH)
        if isinstance(outcome, Rejected):
            return Misconfigured(code=outcome.code, message=outcome.message)
        return outcome

    async def _search_some(
        self, numbers: Sequence[str], fields: Sequence[str]
    ) -> dict[str, Contact] | ApiFailure:
        """Of several contacts with one number the oldest, which has the lowest id."""
        found: dict[str, Contact] = {}
        body, after = _search_body(numbers, fields), "0"
        for _ in range(_MOST_PAGES):
            said = await self._api.post(
                self._api.paths.search(CONTACTS), body | {"after": after}, rate_limit=SEARCH
            )
            if not isinstance(said, dict):
                return said
            for number, contact in self._matches(said, numbers):
                if number not in found or _age(contact) < _age(found[number]):
                    found[number] = contact
            after = next_page(said)
            if not after:
                break
        return found

    def _matches(self, said: Said, numbers: Collection[str]) -> Iterator[tuple[str, Contact]]:
        """A search by the national number also finds those of other countries: the whole one decides."""
        for each in results_of(said):
            properties = each.get("properties") or {}
            texts = [properties.get(field) for field in _PHONE_FIELDS]
            held = {normalize_typed_phone(text, self._region) for text in texts if isinstance(text, str)}
            for number in held.intersection(numbers):
                yield str(number), Contact(str(each["id"]), _owner_of(each))


def _age(contact: Contact) -> tuple[int, str]:
    """HubSpot's ids are numbers that grow, said as texts."""
    return len(contact.id), contact.id


def _search_body(numbers: Sequence[str], fields: Sequence[str]) -> Said:
    """One group of one filter for each field; HubSpot joins groups by "or" and takes five of them."""
    whole, nationals = sorted(numbers), sorted({national_digits(number) for number in numbers})
    filters: list[Said] = [
        {"propertyName": field, "operator": "IN", "values": nationals if field in _SEARCHABLE else whole}
        for field in fields
    ]
    return {
        "filterGroups": [{"filters": [each]} for each in filters],
        "properties": [*_PHONE_FIELDS, _OWNER],
        "sorts": [],
        "limit": _PAGE,
    }


def _fits(numbers: Sequence[str], fields: Sequence[str] = _ALL_FIELDS) -> bool:
    return len(msgspec.json.encode(_search_body(numbers, fields))) <= _LONGEST_SEARCH - _ROOM_FOR_AFTER


def _fitting(numbers: Sequence[str], fields: Sequence[str]) -> Iterator[Sequence[str]]:
    """As few parts as there can be, halved until each fits."""
    if not numbers:
        return
    if len(numbers) == 1 or _fits(numbers, fields):
        yield numbers
        return
    middle = len(numbers) // 2
    yield from _fitting(numbers[:middle], fields)
    yield from _fitting(numbers[middle:], fields)


def _owner_of(record: Said) -> str:
    return str((record.get("properties") or {}).get(_OWNER) or "")


def _key(number: str) -> str:
    return f"contact:{number}"


def _owner_key(number: str) -> str:
    return f"contact_owner:{number}"


def _absent_key(number: str) -> str:
    return f"no_contact:{number}"
