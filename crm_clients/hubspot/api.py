"""HubSpot's API: where things are in each of its versions, and one request with what it came to."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Context, Outcome, Throttled
from crm_clients.http import VendorHttp, retry_after
from crm_clients.hubspot.errors import ApiError, outcome_of, parse_error
from crm_clients.hubspot.pace import AdaptiveRateLimiter, Steps
from crm_clients.hubspot.settings import MOST_INPUTS, HubSpotSettings
from crm_clients.rate_limit import WRITES

SEARCH: Final = "search"
"""The rate_limit of searches, which HubSpot counts apart: five a second for the whole account."""

_LONGEST_SILENCE_SECONDS: Final = 30.0

CALLS, TASKS, CONTACTS = "calls", "tasks", "contacts"

Said = dict[str, Any]
ApiFailure = ApiError | Outcome
"""Why a request brought nothing: HubSpot's refusal, or why there is no answer."""


class Paths:
    """Where things are: version `v3` has its number before the area, those named by a date after it."""

    def __init__(self, version: str) -> None:
        v3 = version == "v3"
        self._objects = "/crm/v3/objects" if v3 else f"/crm/objects/{version}"
        self._associations = "/crm/v4/associations" if v3 else f"/crm/associations/{version}"
        self._properties = "/crm/v3/properties" if v3 else f"/crm/properties/{version}"
        self._owners = "/crm/v3/owners" if v3 else f"/crm/owners/{version}"

    def batch(self, kind: str, action: str) -> str:
        """`action` is read, create, update, upsert or archive."""
        return f"{self._objects}/{kind}/batch/{action}"

    def search(self, kind: str) -> str:
        """Objects by their properties."""
        return f"{self._objects}/{kind}/search"

    def associations(self, kind: str, other: str) -> str:
        """New links from one kind to the other."""
        return f"{self._associations}/{kind}/{other}/batch/create"

    def properties(self, kind: str, name: str = "") -> str:
        """All properties of a kind, or one of them."""
        return f"{self._properties}/{kind}" + (f"/{name}" if name else "")

    def groups(self, kind: str) -> str:
        """The groups that the properties of a kind stand in."""
        return f"{self._properties}/{kind}/groups"

    def owners(self, id_: str = "") -> str:
        """All owners, or one of them."""
        return self._owners + (f"/{id_}" if id_ else "")


class Api:
    """Requests of one account, within its rate_limits."""

    def __init__(self, settings: HubSpotSettings, context: Context) -> None:
        self.paths = Paths(settings.api_version)
        self._token = settings.token.get_secret_value()
        self._zone = context.timezone
        self._pace = AdaptiveRateLimiter(settings.rate)
        self._http = VendorHttp(
            base_url=settings.base_url,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            timeout_seconds=settings.timeout_seconds,
            rate_limits={WRITES: self._pace, SEARCH: Steps(settings.search_rate)},
            connections=settings.concurrency,
        )

    async def get(self, path: str, **params: str) -> Said | ApiFailure:
        """What stands there."""
        return await self._send("GET", path, params=params)

    async def post(self, path: str, body: Said, *, rate_limit: str = WRITES) -> Said | ApiFailure:
        """What HubSpot says to it. With 207, or any success that has `numErrors`, parts may have failed."""
        return await self._send("POST", path, content=msgspec.json.encode(body), rate_limit=rate_limit)

    async def read(
        self, kind: str, ids: Sequence[str], properties: Sequence[str], *, by: str | None = None
    ) -> dict[str, Said] | ApiFailure:
        """Those of these objects that are there, by record id, or by the unique property `by`."""
        found: dict[str, Said] = {}
        names = [*properties, by] if by else list(properties)
        for some in in_batches(ids):
            body: Said = {
                "inputs": [{"id": id_} for id_ in some],
                "properties": names,
                "propertiesWithHistory": [],
            }
            said = await self.post(self.paths.batch(kind, "read"), body | ({"idProperty": by} if by else {}))
            if not isinstance(said, dict):
                return said
            for each in results_of(said):
                found[str((each.get("properties") or {}).get(by) if by else each.get("id"))] = each
        return found

    def outcome(self, trouble: ApiFailure, *, records: int = 1, rate_limit: str | None = None) -> Outcome:
        """What this trouble means for each of so many records that were sent together."""
        if isinstance(trouble, Outcome):
            return trouble
        return outcome_of(trouble, records=records, zone=self._zone, rate_limit=rate_limit)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        rate_limit: str = WRITES,
    ) -> Said | ApiFailure:
        answer = await self._http.send(method, path, params=params, content=content, rate_limit=rate_limit)
        if isinstance(answer, Outcome):
            return answer
        if rate_limit == WRITES:
            self._pace.learn(answer.headers)
        said = _object(answer.content.replace(self._token.encode(), b"..."))
        if answer.is_success and said is not None:
            return said
        fault = parse_error(answer.status_code, said or {}, after=retry_after(answer.headers))
        self._note(fault, rate_limit)
        return fault

    def _note(self, fault: ApiError, rate_limit: str) -> None:
        """After a 429 nobody asks before HubSpot permits it; in a long wait the courier's probes may."""
        outcome = self.outcome(fault)
        if isinstance(outcome, Throttled):
            self._http.rate_limits[rate_limit].block_for(min(outcome.after or 1.0, _LONGEST_SILENCE_SECONDS))


def in_batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    """As many at once as HubSpot takes."""
    return [items[at : at + MOST_INPUTS] for at in range(0, len(items), MOST_INPUTS)]


def results_of(said: Said) -> list[Said]:
    """The `results` of an answer, none where it has none."""
    results = said.get("results")
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []


def next_page(said: Said) -> str:
    """What a list's next page is asked for by, "" where this was the last."""
    return str(((said.get("paging") or {}).get("next") or {}).get("after") or "")


def failures_of(said: Said) -> list[ApiError]:
    """What a batch's answer says of the records that failed. HubSpot: `errors`, each with its context."""
    errors = said.get("errors")
    each = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return [parse_error(_status(error), error) for error in each]


def is_named(id_: str, trouble: ApiFailure) -> bool:
    """Whether HubSpot says that this record is the bad one."""
    return isinstance(trouble, ApiError) and id_ in trouble.ids


def _status(error: Said) -> int:
    """An entry of `errors` has the word "error" where an answer has a status."""
    said = str(error.get("status", ""))
    return int(said) if said.isdigit() else 400


def _object(body: bytes) -> Said | None:
    """What a body says; None where it is not HubSpot's, whatever its status: a captive portal's page."""
    try:
        said = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said if isinstance(said, dict) else None
