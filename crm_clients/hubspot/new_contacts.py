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
from crm_clients.hubspot.errors import ApiError, ApiFailure
from crm_clients.hubspot.responses import UNEXPECTED_ANSWER, JsonObject, to_records
from crm_clients.hubspot.text import clean, shorten_name

_SEARCH_LAG_SECONDS: Final = 90.0

_PENDING: Final = Retry(
    code="contact_pending",
    message="HubSpot did not confirm that it created the contact. A search will show it in a minute or two.",
    after=_SEARCH_LAG_SECONDS,
)
_NO_RESULT: Final = Retry(code="no_result", message="HubSpot's response does not mention the new contact.")

_EXISTING_CONTACT: Final = "Existing ID"
"""HubSpot: the text of a 409 that names another record with the same value of a unique property."""

CreatedContacts = dict[str, str | Outcome]
"""By number: the record id of the new contact, or why there is none."""


class NewContacts:
    """Creates contacts. The caller holds the locks of the numbers."""

    def __init__(self, api: Api, state: ClientState) -> None:
        self._api = api
        self._state = state

    async def create(self, names: Mapping[str, str | None]) -> CreatedContacts:
        """Create a contact for each number, under its name if that is known."""
        keys = {_state_key(number): number for number in names}
        pending = await self._state.get_many(keys, max_age_seconds=_SEARCH_LAG_SECONDS) if keys else {}
        created: CreatedContacts = {keys[key]: _PENDING for key in pending}
        for numbers in chunks([number for number in names if number not in created]):
            created |= await self._create_chunk({number: names[number] for number in numbers})
        return created

    async def clear_pending(self, numbers: Collection[str]) -> None:
        """Remove the pending creations of numbers whose contact is known, or is known not to exist."""
        if numbers:
            await self._state.set_many({_state_key(number): None for number in numbers})

    async def _create_chunk(self, names: Mapping[str, str | None]) -> CreatedContacts:
        await self._state.set_many({_state_key(number): "1" for number in names})
        inputs = [_create_input(number, name) for number, name in names.items()]
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
        rejected = {
            number: self._outcome(error)
            for number, error in response.errors_by_id.items()
            if number in names and number not in created
        }
        await self.clear_pending(rejected)
        return dict.fromkeys(names, _NO_RESULT) | rejected | created

    def _outcome(self, failure: ApiFailure, *, records: int = 1) -> Outcome:
        """A contact that conflicts with an existing one is refused; other conflicts pass by themselves."""
        outcome = self._api.outcome(failure, records=records)
        if isinstance(outcome, Retry) and _EXISTING_CONTACT in f"{outcome.message}":
            return (Split if records > 1 else Rejected)(code=outcome.code, message=outcome.message)
        return outcome


def _certainly_created_none(failure: ApiFailure) -> bool:
    """An error response other than a time-out or a server error, or a request that was not sent.

    A successful response that confirms nothing may come from a request that created contacts.
    """
    if isinstance(failure, ApiError):
        return (
            failure.status < HTTPStatus.INTERNAL_SERVER_ERROR and failure.status != HTTPStatus.REQUEST_TIMEOUT
        )
    return not isinstance(failure, Unknown) and failure.code != UNEXPECTED_ANSWER


def _create_input(number: str, name: str | None) -> JsonObject:
    """HubSpot requires a name or an e-mail address: without a name, the number is the first name."""
    return {
        "objectWriteTraceId": number,
        "associations": [],
        "properties": {"firstname": shorten_name(clean(name or "")) or number, "phone": number},
    }


def _state_key(number: str) -> str:
    return f"contact_making:{number}"
