"""The HubSpot owner of a call: the user with the agent's e-mail address. Owner ids are cached."""

from collections.abc import Collection, Sequence
from typing import Final

from crm_clients.base import ClientState, Outcome, Rejected
from crm_clients.hubspot.api import Api
from crm_clients.hubspot.errors import ApiFailure
from crm_clients.hubspot.responses import OwnerObject, Results

NO_OWNER: Final = ""
"""The value in place of an owner id, if no active user has the e-mail address."""

_CACHE_SECONDS: Final = 86_400.0
_NO_OWNER_CACHE_SECONDS: Final = 3_600.0
"""Shorter, as the agent may be invited to HubSpot meanwhile."""

_MAX_SINGLE_LOOKUPS: Final = 3
"""More addresses than this are looked up in the list of all owners, which costs fewer requests."""

_MAX_PAGES: Final = 50

OwnerResults = Results[OwnerObject]

OwnerIds = dict[str, str | Outcome]
"""By e-mail address: the owner id, NO_OWNER, or why it could not be looked up."""


class Owners:
    """Owner ids by e-mail address. HubSpot compares addresses in lower case."""

    def __init__(self, api: Api, state: ClientState) -> None:
        self._api = api
        self._state = state

    async def find(self, emails: Collection[str]) -> OwnerIds:
        """Return the owner id of each address, from the cache or from HubSpot."""
        cached = await self._load_cached(emails)
        unknown = sorted({*emails} - {*cached})
        if len(unknown) > _MAX_SINGLE_LOOKUPS:
            fetched = await self._fetch_from_list(unknown)
        else:
            fetched = await self._fetch_one_by_one(unknown)
        to_cache = {_state_key(email): id_ for email, id_ in fetched.items() if isinstance(id_, str)}
        await self._state.set_many(to_cache)
        return {**cached, **fetched}

    async def fetch(self, email: str) -> str | Outcome:
        """Return the id of the active owner with this address, or NO_OWNER, without the cache."""
        response = await self._api.get(self._api.paths.owners(), OwnerResults, email=email.lower())
        if isinstance(response, ApiFailure):
            return self._api.outcome(response)
        return _active_owners(response).get(email.lower(), NO_OWNER)

    async def forget(self, emails: Collection[str]) -> None:
        """Remove these addresses from the cache."""
        await self._state.set_many({_state_key(email): None for email in emails})

    async def _fetch_one_by_one(self, emails: Sequence[str]) -> OwnerIds:
        """After a failure, but for a refused address, the remaining addresses get the same failure."""
        found: OwnerIds = {}
        for at, email in enumerate(emails):
            found[email] = owner = await self.fetch(email)
            if isinstance(owner, Outcome) and not isinstance(owner, Rejected):
                return found | dict.fromkeys(emails[at:], owner)
        return found

    async def _fetch_from_list(self, emails: Sequence[str]) -> OwnerIds:
        owners: dict[str, str] = {}
        page: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            response = await self._api.get(self._api.paths.owners(), OwnerResults, **page)
            if isinstance(response, ApiFailure):
                return dict.fromkeys(emails, self._api.outcome(response))
            owners |= _active_owners(response)
            if not response.next_page:
                break
            page = {"after": response.next_page}
        return {email: owners.get(email.lower(), NO_OWNER) for email in emails}

    async def _load_cached(self, emails: Collection[str]) -> dict[str, str]:
        keys = {_state_key(email): email for email in emails}
        cached = await self._state.get_many(keys, max_age_seconds=_CACHE_SECONDS)
        absent = [key for key, owner in cached.items() if owner == NO_OWNER]
        recent = await self._state.get_many(absent, max_age_seconds=_NO_OWNER_CACHE_SECONDS)
        return {keys[key]: owner for key, owner in cached.items() if owner != NO_OWNER or key in recent}


def _active_owners(response: OwnerResults) -> dict[str, str]:
    """Return owner ids by e-mail address in lower case."""
    return {(owner.email or "").lower(): str(owner.id) for owner in response.results if not owner.archived}


def _state_key(email: str) -> str:
    return f"owner:{email.lower()}"
