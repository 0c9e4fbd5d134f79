"""HubSpot's API: the paths of each version, and requests within the rate limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeVar

import msgspec

from crm_clients.base import Context, Outcome, Rejected, Retry, Throttled
from crm_clients.http import VendorHttp, retry_after
from crm_clients.hubspot.errors import ApiError, ApiFailure, parse_error, to_outcome
from crm_clients.hubspot.rate_limit import AdaptiveRateLimiter, IntervalRateLimiter
from crm_clients.hubspot.responses import (
    Archived,
    JsonObject,
    Record,
    RecordResults,
    parse_error_body,
    parse_response,
    to_records,
    unexpected_answer,
)
from crm_clients.hubspot.settings import MAX_BATCH_SIZE, HubSpotSettings
from crm_clients.rate_limit import WRITES

SEARCH: Final = "search"
"""The rate limit of searches. HubSpot counts them apart: five a second for the whole account."""

_MAX_BLOCK_SECONDS: Final = 30.0

BatchAction = Literal["read", "create", "update", "upsert", "archive"]
_OBJECT_NOT_FOUND: Final = "OBJECT_NOT_FOUND"
T = TypeVar("T")


class ObjectType(StrEnum):
    """The types of record that the client reads and writes."""

    CALLS = "calls"
    CONTACTS = "contacts"
    TASKS = "tasks"


class Paths:
    """The paths of one API version: `v3` precedes the name of the area, a date follows it."""

    def __init__(self, version: str) -> None:
        v3 = version == "v3"
        self._objects = "/crm/v3/objects" if v3 else f"/crm/objects/{version}"
        self._associations = "/crm/v4/associations" if v3 else f"/crm/associations/{version}"
        self._properties = "/crm/v3/properties" if v3 else f"/crm/properties/{version}"
        self._owners = "/crm/v3/owners" if v3 else f"/crm/owners/{version}"

    def batch(self, type_: ObjectType, action: BatchAction) -> str:
        return f"{self._objects}/{type_}/batch/{action}"

    def search(self, type_: ObjectType) -> str:
        return f"{self._objects}/{type_}/search"

    def create_associations(self, from_: ObjectType, to: ObjectType) -> str:
        return f"{self._associations}/{from_}/{to}/batch/create"

    def properties(self, type_: ObjectType) -> str:
        return f"{self._properties}/{type_}"

    def property(self, type_: ObjectType, name: str) -> str:
        return f"{self._properties}/{type_}/{name}"

    def property_groups(self, type_: ObjectType) -> str:
        return f"{self._properties}/{type_}/groups"

    def owners(self) -> str:
        return self._owners

    def owner(self, id_: str) -> str:
        return f"{self._owners}/{id_}"


class Api:
    """Requests to one account, within its rate limits. A failure is a value, not an exception."""

    def __init__(self, settings: HubSpotSettings, context: Context) -> None:
        self.paths = Paths(settings.api_version)
        self._token = settings.token.get_secret_value()
        self._timezone = context.timezone
        self._write_limit = AdaptiveRateLimiter(settings.rate)
        self._http = VendorHttp(
            base_url=settings.base_url,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            timeout_seconds=settings.timeout_seconds,
            rate_limits={WRITES: self._write_limit, SEARCH: IntervalRateLimiter(settings.search_rate)},
            connections=settings.concurrency,
        )

    async def get(self, path: str, expected: type[T], **params: str) -> T | ApiFailure:
        """Send a GET request with these query parameters. `expected`: what the response must consist of."""
        return await self._send("GET", path, expected, params=params)

    async def post(
        self, path: str, body: JsonObject, expected: type[T], *, rate_limit: str = WRITES
    ) -> T | ApiFailure:
        """Send a POST request with this JSON body. `expected`: what the response must consist of."""
        content = msgspec.json.encode(body)
        return await self._send("POST", path, expected, content=content, rate_limit=rate_limit)

    async def write_batch(
        self, type_: ObjectType, action: Literal["create", "update", "upsert"], inputs: Sequence[JsonObject]
    ) -> RecordResults | ApiFailure:
        """Write up to MAX_BATCH_SIZE records by one request."""
        return await self.post(self.paths.batch(type_, action), {"inputs": inputs}, RecordResults)

    async def archive(self, type_: ObjectType, ids: Sequence[str]) -> ApiFailure | None:
        """Archive up to MAX_BATCH_SIZE records by one request. Return why that failed."""
        body: JsonObject = {"inputs": [{"id": id_} for id_ in ids]}
        response = await self.post(self.paths.batch(type_, "archive"), body, Archived)
        return None if isinstance(response, Archived) else response

    async def search(self, type_: ObjectType, body: JsonObject) -> RecordResults | ApiFailure:
        """Send one search, one page of it. A last page that ends before HubSpot's own count is no answer."""
        path = self.paths.search(type_)
        response = await self.post(path, body, RecordResults, rate_limit=SEARCH)
        if not isinstance(response, ApiFailure) and response.ends_early(int(body["after"])):
            return unexpected_answer(f"The answer to POST {path} has fewer results than it counts.")
        return response

    async def read_records(
        self,
        type_: ObjectType,
        ids: Sequence[str],
        properties: Sequence[str] = (),
        *,
        id_property: str | None = None,
    ) -> dict[str, Record] | ApiFailure:
        """Return the existing records by record id, or by the unique property `id_property`.

        Ids without a record are absent from the result; if one could not be read, the whole result is that
        failure. Without ids no request is sent.
        """
        found: dict[str, Record] = {}
        for chunk in chunks(ids):
            body: JsonObject = {
                "inputs": [{"id": id_} for id_ in chunk],
                "properties": [*properties, id_property] if id_property else list(properties),
                "propertiesWithHistory": [],
            }
            if id_property:
                body["idProperty"] = id_property
            response = await self.post(self.paths.batch(type_, "read"), body, RecordResults)
            if isinstance(response, ApiFailure):
                return self._unread(response)
            unread = next((error for error in response.errors if error.category != _OBJECT_NOT_FOUND), None)
            if unread is not None:
                return self._unread(unread)
            for record in to_records(response):
                key = record.properties.get(id_property) if id_property else record.id
                if key is None:
                    return unexpected_answer(f"HubSpot returned one of the {type_} without {id_property}.")
                found[key] = record
        return found

    def _unread(self, failure: ApiFailure) -> Outcome:
        """A record that cannot be read says nothing against the call that needs it."""
        outcome = self.outcome(failure)
        if isinstance(outcome, Rejected):
            return Retry(code=outcome.code, message=outcome.message)
        return outcome

    def outcome(self, failure: ApiFailure, *, records: int = 1, rate_limit: str | None = None) -> Outcome:
        """Return the outcome of each of the `records` records that the failed request held."""
        if isinstance(failure, Outcome):
            return failure
        now = datetime.now(self._timezone)
        return to_outcome(failure, records=records, now=now, rate_limit=rate_limit)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self,
        method: str,
        path: str,
        expected: type[T],
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        rate_limit: str = WRITES,
    ) -> T | ApiFailure:
        response = await self._http.send(method, path, params=params, content=content, rate_limit=rate_limit)
        if isinstance(response, Outcome):
            return response
        if rate_limit == WRITES:
            self._write_limit.update_from_headers(response.headers)
        # HubSpot may repeat the token in a message, and messages are logged.
        body = response.content.replace(self._token.encode(), b"...")
        if response.is_success:
            return parse_response(body, expected, f"{method} {path}")
        after = retry_after(response.headers)
        error = parse_error(response.status_code, parse_error_body(body), after=after)
        self._block_if_throttled(error, rate_limit)
        return error

    def _block_if_throttled(self, error: ApiError, rate_limit: str) -> None:
        """Block the rate limit as long as HubSpot asks, but leave room for a probe in a long wait."""
        outcome = self.outcome(error)
        if isinstance(outcome, Throttled):
            seconds = min(outcome.after or 1.0, _MAX_BLOCK_SECONDS)
            self._http.rate_limits[rate_limit].block_for(seconds)


def chunks(items: Sequence[T]) -> list[Sequence[T]]:
    """Split into sequences of at most MAX_BATCH_SIZE items."""
    return [items[at : at + MAX_BATCH_SIZE] for at in range(0, len(items), MAX_BATCH_SIZE)]
