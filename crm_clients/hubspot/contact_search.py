"""HubSpot's search for the contacts that have a number. The whole numbers are compared here.

HubSpot compares the value of a property as a whole, so the first search finds a number only if it is all that
a field contains. What HubSpot computes for a field with words or several numbers is not documented. A
second search finds such a field by parts of the number.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from crm_clients.base import Outcome, Rejected, Throttled
from crm_clients.hubspot.api import SEARCH, Api, ObjectType
from crm_clients.hubspot.call_records import OWNER
from crm_clients.hubspot.errors import ApiFailure, as_destination_failure
from crm_clients.hubspot.responses import JsonObject, RecordResults, to_records
from crm_clients.hubspot.settings import HubSpotSettings
from relay.standards.phones import digit_groups, find_phones, national_digits, spellings

_PHONE_PROPERTIES: Final = ("phone", "mobilephone")
_NATIONAL_PROPERTIES: Final = (
    "hs_searchable_calculated_phone_number",
    "hs_searchable_calculated_mobile_number",
)
"""HubSpot: both hold the number without its country code, however it was typed."""

_ALL_PROPERTIES: Final = (*_NATIONAL_PROPERTIES, *_PHONE_PROPERTIES)
_USUAL_CUTS: Final = frozenset({2, 3, 4, 6})
"""Numbers of last digits before which people write a space, besides the cuts that are usual in a country."""

_USUAL_PREFIX: Final = 3
"""First digits after which people write a space, whatever the country."""

_MAX_GROUPS: Final = 5
"""HubSpot: groups of filters in a search."""

_MAX_PARTS: Final = 3
"""Filters for one number: HubSpot permits 18 in five groups."""

_PAGE_SIZE: Final = 200
_MAX_PAGES: Final = 5
_MAX_SEARCH_LENGTH: Final = 3_000
"""HubSpot: characters in the body of a search."""

_AFTER_LENGTH: Final = 40
"""Characters that the parameter `after` of a later page may need."""

_TIME_SHARE: Final = 0.5
"""The part of `timeout_seconds` that pushes may spend on searches by parts."""

_LATER: Final = Throttled(
    code="search_later",
    message="The contact is not searched for yet: HubSpot permits few searches, and many numbers are new.",
    after=1.0,
    rate_limit=SEARCH,
)
"""For calls whose number is one too many for this push. They are pushed again at once."""

Failures = dict[str, Outcome]
"""By number: why it could not be searched for."""


class Contact(msgspec.Struct, frozen=True):
    """A contact that a search found, or that was created."""

    id: str
    owner_id: str = ""


Matches = dict[str, list[Contact]]
"""By number: the contacts that have it, in the order of HubSpot's answer. Other numbers are absent."""


class ContactSearch:
    """Searches in one account."""

    def __init__(self, api: Api, settings: HubSpotSettings, region: str) -> None:
        self._api = api
        self._region = region
        seconds = settings.timeout_seconds * _TIME_SHARE / settings.concurrency
        searches = int(seconds * settings.search_rate)
        self._max_numbers = _MAX_GROUPS * max(1, searches // len(_PHONE_PROPERTIES))

    async def find(self, numbers: Sequence[str]) -> tuple[Matches, Failures]:
        """Search for contacts with a field that contains one of the numbers and nothing else.

        If the numbers fit into one search by all properties, one is sent. Otherwise the national number is
        searched for first: it finds nearly all contacts, so this costs the fewest searches.
        """
        found: Matches = {}
        remaining = list(numbers)
        one_search = _fits(remaining)
        for properties in [_ALL_PROPERTIES] if one_search else [_NATIONAL_PROPERTIES, _PHONE_PROPERTIES]:
            for some in _split_to_fit(remaining, properties):
                matches = await self._send(some, _search_body(some, properties))
                if isinstance(matches, ApiFailure):
                    return found, dict.fromkeys(set(remaining) - set(found), self._outcome(matches))
                found |= matches
            remaining = [number for number in remaining if number not in found]
        return found, {}

    async def find_among_others(self, numbers: Sequence[str]) -> tuple[Matches, Failures]:
        """Search for contacts with a field that contains one of the numbers besides words or other numbers.

        Such searches are many, so one push searches for some of the numbers, and the others wait. If HubSpot
        refuses the search, nothing is found.
        """
        found: Matches = {}
        waiting: Failures = dict.fromkeys(numbers[self._max_numbers :], _LATER)
        for at in range(0, len(numbers) - len(waiting), _MAX_GROUPS):
            some = numbers[at : at + _MAX_GROUPS]
            for property_ in _PHONE_PROPERTIES:
                matches = await self._send(some, _search_body_by_parts(some, property_))
                if isinstance(matches, ApiFailure):
                    outcome = self._api.outcome(matches, rate_limit=SEARCH)
                    if not isinstance(outcome, Rejected):
                        return found, dict.fromkeys(numbers[at:], outcome)
                else:
                    found |= matches
        return found, waiting

    async def _send(self, numbers: Sequence[str], body: JsonObject) -> Matches | ApiFailure:
        """Send one search, all its pages."""
        found: dict[str, dict[str, Contact]] = {}
        after = "0"
        for _ in range(_MAX_PAGES):
            response = await self._api.search(ObjectType.CONTACTS, body | {"after": after})
            if isinstance(response, ApiFailure):
                return response
            for number, contact in self._match_numbers(response, numbers):
                found.setdefault(number, {})[contact.id] = contact
            after = response.next_page
            if not after:
                break
        return {number: list(contacts.values()) for number, contacts in found.items()}

    def _match_numbers(
        self, response: RecordResults, numbers: Collection[str]
    ) -> Iterator[tuple[str, Contact]]:
        """Compare whole numbers: a national number may also belong to a contact in another country."""
        for record in to_records(response):
            written = [record.properties.get(name, "") for name in _PHONE_PROPERTIES]
            own = {number for text in written for number in find_phones(text, self._region)}
            for number in own.intersection(numbers):
                yield number, Contact(record.id, record.properties.get(OWNER, ""))

    def _outcome(self, failure: ApiFailure) -> Outcome:
        return as_destination_failure(self._api.outcome(failure, rate_limit=SEARCH))


def _search_body(numbers: Sequence[str], properties: Sequence[str]) -> JsonObject:
    """One filter per property."""
    whole = sorted({spelling for number in numbers for spelling in spellings(number)})
    national_numbers = sorted({national_digits(spelling) for spelling in whole})
    return _any_of(
        [{"propertyName": name, "operator": "IN", "values": values}]
        for name in properties
        for values in [national_numbers if name in _NATIONAL_PROPERTIES else whole]
    )


def _search_body_by_parts(numbers: Sequence[str], property_: str) -> JsonObject:
    """One group of filters per number: the property contains each of its parts.

    HubSpot: CONTAINS_TOKEN compares the words of a text, and `*` is a wildcard.
    """
    return _any_of(
        [
            {"propertyName": property_, "operator": "CONTAINS_TOKEN", "value": f"*{part}*"}
            for part in _parts(number)
        ]
        for number in numbers
    )


def _parts(number: str) -> list[str]:
    """Return the longest parts of a number, without country code, in which nobody writes a space."""
    groups = digit_groups(number)
    digits = "".join(groups)
    cuts = _USUAL_CUTS | {sum(map(len, groups[at:])) for at in range(len(groups))}
    before = {_USUAL_PREFIX, *(len(digits) - cut for cut in cuts)}
    bounds = sorted({0, len(digits), *(at for at in before if 0 < at < len(digits))})
    parts = [digits[start:end] for start, end in itertools.pairwise(bounds)]
    return sorted(parts, key=len, reverse=True)[:_MAX_PARTS]


def _any_of(groups: Iterable[Sequence[Mapping[str, object]]]) -> JsonObject:
    """HubSpot: filters of a group are joined by "and", groups by "or"."""
    return {
        "filterGroups": [{"filters": filters} for filters in groups],
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
