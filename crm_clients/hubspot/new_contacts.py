"""Contacts that are created for unknown numbers, each once.

HubSpot has no unique number, and its search shows a new contact only seconds to a minute later. So a
pending creation is stored before the request. If the response is lost, no second contact is created until
a search would show the first.
"""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final

from crm_clients.base import ClientState, Outcome, Rejected, Retry, Split, Unknown
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.errors import ApiError, ApiFailure, as_refusal
from crm_clients.hubspot.responses import UNEXPECTED_ANSWER, JsonObject, PropertyObject, to_records
from crm_clients.hubspot.settings import MARKETING_STATUS, PHONE, HubSpotSettings
from crm_clients.hubspot.text import clean, constant_properties, shorten_name
from crm_clients.response_body import UNUSABLE

_SEARCH_LAG_SECONDS: Final = 90.0

_PENDING: Final = Retry(
    code="contact_pending",
    message="HubSpot did not confirm that it created the contact. A search will show it in a minute or two.",
    after=_SEARCH_LAG_SECONDS,
)
_NO_RESULT: Final = Retry(code="no_result", message="HubSpot's response does not mention the new contact.")

_EXISTING_CONTACT: Final = "Existing ID"
"""HubSpot: the text of a 409 that names another record with the same value of a unique property."""

_MAY_HAVE_CREATED: Final = UNUSABLE | {UNEXPECTED_ANSWER}
"""Codes of outcomes for successful responses that confirm nothing."""

_MARKETING_KEY: Final = "contact_marketing_status"
_MARKETING_CACHE_SECONDS: Final = 86_400.0
_NON_MARKETING: Final = "false"
_NO_STATUS: Final = ""
"""The value in place of a marketing status, if the account's contacts have none that can be written."""

CreatedContacts = dict[str, str | Outcome]
"""By number: the record id of the new contact, or why there is none."""


class NewContacts:
    """Creates contacts. The caller holds the locks of the numbers."""

    def __init__(self, api: Api, settings: HubSpotSettings, state: ClientState) -> None:
        self._api = api
        self._state = state
        self._constants = constant_properties(settings.contact_constants)

    async def create(self, names: Mapping[str, str | None]) -> CreatedContacts:
        """Create a contact for each number, under its name if that is known."""
        keys = {_state_key(number): number for number in names}
        pending = await self._state.get_many(keys, max_age_seconds=_SEARCH_LAG_SECONDS)
        created: CreatedContacts = {keys[key]: _PENDING for key in pending}
        numbers = [number for number in names if number not in created]
        constants = await self._find_constants() if numbers else {}
        if isinstance(constants, Outcome):
            return created | dict.fromkeys(numbers, constants)
        for chunk in chunks(numbers):
            created |= await self._create_chunk({number: names[number] for number in chunk}, constants)
        return created

    async def clear_pending(self, numbers: Collection[str]) -> None:
        """Remove the pending creations of numbers whose contact is known, or is known not to exist."""
        await self._state.set_many({_state_key(number): None for number in numbers})

    async def _find_constants(self) -> dict[str, str] | Outcome:
        """Return the properties that are the same in each new contact.

        HubSpot bills marketing contacts, so none of these is one; some accounts do not permit to say so.
        """
        cached = await self._state.get_many([_MARKETING_KEY], max_age_seconds=_MARKETING_CACHE_SECONDS)
        status = cached.get(_MARKETING_KEY)
        if status is None:
            path = self._api.paths.property(ObjectType.CONTACTS, MARKETING_STATUS)
            found = await self._api.get(path, PropertyObject)
            if isinstance(found, ApiFailure) and not _is_unknown_property(found):
                return self._api.outcome(found)
            writable = isinstance(found, PropertyObject) and found.is_writable
            status = _NON_MARKETING if writable else _NO_STATUS
            await self._state.set_many({_MARKETING_KEY: status})
        return self._constants | ({} if status == _NO_STATUS else {MARKETING_STATUS: status})

    async def _create_chunk(
        self, names: Mapping[str, str | None], constants: Mapping[str, str]
    ) -> CreatedContacts:
        await self._state.set_many({_state_key(number): "1" for number in names})
        inputs = [_create_input(number, name, constants) for number, name in names.items()]
        response = await self._api.write_batch(ObjectType.CONTACTS, "create", inputs)
        if isinstance(response, ApiFailure):
            if _certainly_created_none(response):
                await self.clear_pending(names)
            return dict.fromkeys(names, self._outcome(response, records=len(names)))
        created = {
            number: record.id
            for record in to_records(response)
            if (number := record.find_key(names, "phone")) is not None
        }
        errors = {
            number: error
            for number, error in response.errors_by_id.items()
            if number in names and number not in created
        }
        await self.clear_pending([n for n, error in errors.items() if _certainly_created_none(error)])
        failed = {number: self._outcome(error) for number, error in errors.items()}
        return dict.fromkeys(names, _NO_RESULT) | failed | created

    def _outcome(self, failure: ApiFailure, *, records: int = 1) -> Outcome:
        """A contact that conflicts with an existing one is refused; other conflicts pass by themselves."""
        outcome = self._api.outcome(failure, records=records)
        if isinstance(outcome, Retry) and _EXISTING_CONTACT in f"{outcome.message}":
            return (Split if records > 1 else Rejected)(code=outcome.code, message=outcome.message)
        return as_refusal(outcome, records=records)


def _certainly_created_none(failure: ApiFailure) -> bool:
    """An error response other than a time-out or a server error, or a request that was not sent.

    A successful response that confirms nothing may come from a request that created contacts.
    """
    if isinstance(failure, ApiError):
        return (
            failure.status < HTTPStatus.INTERNAL_SERVER_ERROR and failure.status != HTTPStatus.REQUEST_TIMEOUT
        )
    return not isinstance(failure, Unknown) and failure.code not in _MAY_HAVE_CREATED


def _is_unknown_property(failure: ApiFailure) -> bool:
    """Whether the account lacks the property, or does not permit to look it up."""
    return isinstance(failure, ApiError) and failure.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}


def _create_input(number: str, name: str | None, constants: Mapping[str, str]) -> JsonObject:
    """HubSpot requires a name or an e-mail address: without a name, the number is the first name."""
    first_name = shorten_name(clean(name or "")) or number
    return {
        "objectWriteTraceId": number,
        "associations": [],
        "properties": {"firstname": first_name, PHONE: number, **constants},
    }


def _state_key(number: str) -> str:
    return f"contact_making:{number}"
