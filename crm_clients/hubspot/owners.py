"""Who a call belongs to: HubSpot's owner with the agent's e-mail address."""

from collections.abc import Collection, Sequence
from typing import Final

from crm_clients.base import ClientState, Outcome
from crm_clients.hubspot.api import Api, Said, next_page, results_of

NOBODY: Final = ""
"""What is remembered of an address that no owner has."""

_KNOWN_SECONDS: Final = 86_400.0
_UNKNOWN_SECONDS: Final = 3_600.0
"""A colleague may be invited to HubSpot meanwhile."""

_MOST_ASKED: Final = 3
"""So many are asked for one by one; of more the list is read, which costs fewer requests."""

_MOST_PAGES: Final = 50

Found = dict[str, str | Outcome]
"""The owner's id of each address, NOBODY where there is none, or why it could not be asked for."""


class Owners:
    """Owners by e-mail address, remembered."""

    def __init__(self, api: Api, memory: ClientState) -> None:
        self._api = api
        self._state = memory

    async def of(self, emails: Collection[str]) -> Found:
        """The owners of these addresses."""
        remembered = await self._remembered(emails)
        unknown = sorted({*emails} - {*remembered})
        found = await (self._listed(unknown) if len(unknown) > _MOST_ASKED else self._asked(unknown))
        learnt = {_key(email): answer for email, answer in found.items() if isinstance(answer, str)}
        if learnt:
            await self._state.set_many(learnt)
        return {**remembered, **found}

    async def ask(self, email: str) -> str | Outcome:
        """The id of the active owner with this address; HubSpot keeps addresses in lower case."""
        said = await self._api.get(self._api.paths.owners(), email=email.lower())
        if not isinstance(said, dict):
            return self._api.outcome(said)
        return _active(said).get(email.lower(), NOBODY)

    async def forget(self, emails: Collection[str]) -> None:
        """Remember nothing of these addresses."""
        if emails:
            await self._state.set_many({_key(email): None for email in emails})

    async def _asked(self, emails: Sequence[str]) -> Found:
        found: Found = {}
        for at, email in enumerate(emails):
            found[email] = answer = await self.ask(email)
            if isinstance(answer, Outcome):
                return found | dict.fromkeys(emails[at:], answer)
        return found

    async def _listed(self, emails: Sequence[str]) -> Found:
        owners: dict[str, str] = {}
        page: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            said = await self._api.get(self._api.paths.owners(), **page)
            if not isinstance(said, dict):
                return dict.fromkeys(emails, self._api.outcome(said))
            owners |= _active(said)
            page = {"after": after} if (after := next_page(said)) else {}
            if not page:
                break
        return {email: owners.get(email.lower(), NOBODY) for email in emails}

    async def _remembered(self, emails: Collection[str]) -> dict[str, str]:
        keys = {_key(email): email for email in emails}
        if not keys:
            return {}
        kept = await self._state.get_many(keys, max_age_seconds=_KNOWN_SECONDS)
        absent = [key for key, owner in kept.items() if owner == NOBODY]
        lately = await self._state.get_many(absent, max_age_seconds=_UNKNOWN_SECONDS) if absent else {}
        return {keys[key]: owner for key, owner in kept.items() if owner != NOBODY or key in lately}


def _active(said: Said) -> dict[str, str]:
    """The ids of the owners in an answer, by address in lower case."""
    return {
        str(each.get("email") or "").lower(): str(each["id"])
        for each in results_of(said)
        if not each.get("archived")
    }


def _key(email: str) -> str:
    return f"owner:{email.lower()}"
