"""Contacts that are made for numbers that have none, each once.

HubSpot knows no unique number, and a search sees a new contact only after some seconds, up to a minute.
So before a contact is made that is noted: should the answer be lost, none is made again until a search
would show it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from crm_clients.base import ClientState, Outcome, Retry, Unknown
from crm_clients.hubspot.api import CONTACTS, Api, ApiFailure, Said, failures_of, in_batches, results_of
from crm_clients.hubspot.errors import ApiError
from crm_clients.hubspot.text import clean, short

_LAG_SECONDS: Final = 90.0
_SERVER_ERROR: Final = 500
_TIMEOUT: Final = 408

Made = dict[str, str | Outcome]
"""The new contact's id of each number, or why there is none."""


class NewContacts:
    """Makes contacts; whoever asks has the turn of their numbers."""

    def __init__(self, api: Api, memory: ClientState) -> None:
        self._api = api
        self._state = memory

    async def make(self, names: Mapping[str, str | None]) -> Made:
        """A contact for each of these numbers, under its name if that is known."""
        keys = {_key(number): number for number in names}
        pending = await self._state.get_many(keys, max_age_seconds=_LAG_SECONDS) if keys else {}
        made: Made = {keys[key]: _PENDING for key in pending}
        for some in in_batches([number for number in names if number not in made]):
            made |= await self._make({number: names[number] for number in some})
        return made

    async def forget(self, numbers: Collection[str]) -> None:
        """Those of which it is known whether they were made."""
        if numbers:
            await self._state.set_many({_key(number): None for number in numbers})

    async def _make(self, names: Mapping[str, str | None]) -> Made:
        await self._state.set_many({_key(number): "1" for number in names})
        inputs = [_input(number, name) for number, name in names.items()]
        said = await self._api.post(self._api.paths.batch(CONTACTS, "create"), {"inputs": inputs})
        if not isinstance(said, dict):
            await self.forget(names if _made_none(said) else ())
            return dict.fromkeys(names, self._api.outcome(said, records=len(names)))
        made: Made = {n: str(each["id"]) for each in results_of(said) if (n := _number_of(each, names))}
        refused = {n: f for f in failures_of(said) for n in f.ids if n in names and n not in made}
        await self.forget(refused)
        return (
            dict.fromkeys(names, _LOST)
            | {number: self._api.outcome(fault) for number, fault in refused.items()}
            | made
        )


_PENDING: Final = Retry(
    code="contact_pending",
    message="HubSpot did not say whether it made the contact; a search will show it shortly.",
    after=_LAG_SECONDS,
)
_LOST: Final = Retry(code="no_result", message="HubSpot said nothing of the contact that was to be made.")


def _made_none(trouble: ApiFailure) -> bool:
    """Whether nothing was made for certain: refused, or never sent."""
    if isinstance(trouble, ApiError):
        return trouble.status < _SERVER_ERROR and trouble.status != _TIMEOUT
    return not isinstance(trouble, Unknown)


def _input(number: str, name: str | None) -> Said:
    """HubSpot wants a name or an e-mail address: the number stands for one that is not known."""
    return {
        "objectWriteTraceId": number,
        "associations": [],
        "properties": {"firstname": short(clean(name or "")) or number, "phone": number},
    }


def _number_of(result: Said, numbers: Collection[str]) -> str | None:
    said = (result.get("objectWriteTraceId"), (result.get("properties") or {}).get("phone"))
    return next((str(each) for each in said if each in numbers), None)


def _key(number: str) -> str:
    return f"contact_making:{number}"
