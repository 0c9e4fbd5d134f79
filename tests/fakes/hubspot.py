"""A fake HubSpot account that refuses whatever HubSpot refuses. `running_hubspot` serves one on loopback.

Sources: HubSpot's API description (versions 2026-09 and v3) for paths, required keys and responses; its
guides for limits, partial failures and searches.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.hubspot_api import CALL_TO_CONTACT, TASK_TO_CONTACT, Account, ApiRequest, Owner
from tests.fakes.hubspot_limits import Limits
from tests.fakes.hubspot_records import Property, Record
from tests.fakes.hubspot_responses import error_response, parse_body, throttled_response
from tests.support.servers import ThreadedServer

TOKEN = "pat-eu1-secret-of-the-tests"


@dataclass(frozen=True)
class RawRequest:
    """A request as received, header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class LoggedRequest:
    """A request with the status of its response. `action` is what follows the kind, as `batch/upsert`."""

    method: str
    path: str
    kind: str
    action: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    status: int

    @property
    def is_write(self) -> bool:
        """Whether it could change a record; a batch without inputs cannot."""
        is_read = self.method == "GET" or self.action in {"search", "batch/read"}
        return not is_read and self.body.get("inputs") != []


@dataclass
class CannedResponse:
    """A response to the next `remaining` requests whose path contains `path`.

    `after_execution`: the request is executed first, and its own response is lost.
    """

    response: Response
    path: str
    remaining: int
    after_execution: bool = False


class HubSpot(Account):
    """An account with a log of its requests, and faults that tests inject."""

    def __init__(self, *, version: str = "2026-09", region: str = "ES") -> None:
        super().__init__(version, region)
        self.limits = Limits()
        self.latency = 0.0
        self.log: list[LoggedRequest] = []
        self._canned: list[CannedResponse] = []

    # --- set up and inspect ---------------------------------------------------------------------

    def create_relay_properties(self) -> None:
        """Create what `relay setup` creates."""
        self.calls.properties["cloudtalk_call_id"] = Property("cloudtalk_call_id", unique=True)
        self.tasks.properties["cloudtalk_task_id"] = Property("cloudtalk_task_id", unique=True)

    def add_owner(self, email: str) -> str:
        """Add a user; return the owner id."""
        owner = Owner(str(7001 + len(self.owners)), email)
        self.owners.append(owner)
        return owner.id

    def respond_with(self, response: Response, *, path: str = "", times: int = 1) -> None:
        """Give the next requests to this path this response, and do not execute them."""
        self._canned.append(CannedResponse(response, path, times))

    def clear_canned_responses(self) -> None:
        """End `respond_with` and `lose_response`."""
        self._canned.clear()

    def lose_response(self, *, path: str, times: int = 1) -> None:
        """Execute the next requests to this path, and respond with status 500."""
        error = error_response(500, "Internal error", "INTERNAL_ERROR")
        self._canned.append(CannedResponse(error, path, times, after_execution=True))

    def contact_ids_of_call(self, call_id: str) -> set[str]:
        record_id = self.calls.get_one(cloudtalk_call_id=call_id).id
        return self._associated_contacts(CALL_TO_CONTACT, record_id)

    def contact_ids_of_task(self, task: Record) -> set[str]:
        return self._associated_contacts(TASK_TO_CONTACT, task.id)

    def _associated_contacts(self, type_id: int, record_id: str) -> set[str]:
        return {to for id_, from_, to in self.associations if (id_, from_) == (type_id, record_id)}

    def delete_contact(self, id_: str) -> None:
        del self.contacts.records[id_]
        self.associations = {each for each in self.associations if each[2] != id_}

    def count_requests(self, action: str, kind: str = "") -> int:
        return len([seen for seen in self.log if seen.action == action and kind in {"", seen.kind}])

    @property
    def writes(self) -> list[LoggedRequest]:
        return [seen for seen in self.log if seen.is_write]

    @property
    def throttled(self) -> list[LoggedRequest]:
        return [seen for seen in self.log if seen.status == 429]

    # --- requests -------------------------------------------------------------------------------

    def handle(self, raw: RawRequest) -> Response:
        body = parse_body(raw.body)
        area, kind, action = self.split_path(raw.path)
        request = ApiRequest(raw.method, area, kind, action, body or {}, raw.query)
        response = self._respond(raw, request, readable=body is not None)
        self.log.append(
            LoggedRequest(raw.method, raw.path, kind, action, request.body, raw.headers, response.status_code)
        )
        return response

    def _respond(self, raw: RawRequest, request: ApiRequest, *, readable: bool) -> Response:
        canned = next((each for each in self._canned if each.remaining > 0 and each.path in raw.path), None)
        if canned is not None:
            canned.remaining -= 1
            if not canned.after_execution:
                return canned.response
        response = self._refuse(raw, request, readable=readable) or self.execute(request)
        response.headers.update(self.limits.headers(searching=request.action == "search"))
        return response if canned is None else canned.response

    def _refuse(self, raw: RawRequest, request: ApiRequest, *, readable: bool) -> Response | None:
        if raw.headers.get("authorization") != f"Bearer {TOKEN}":
            return error_response(401, "Authentication credentials not found", "INVALID_AUTHENTICATION")
        if policy := self.limits.exceeded_policy(searching=request.action == "search"):
            return throttled_response(policy)
        if raw.method == "POST" and raw.headers.get("content-type") != "application/json":
            return error_response(415, "Content-Type must be application/json", "VALIDATION_ERROR")
        return None if readable else error_response(400, "Invalid input JSON", "VALIDATION_ERROR")


# --- server -----------------------------------------------------------------------------------


class RunningHubSpot(ThreadedServer):
    """A fake account on loopback. A test may replace the account `hubspot` at any time."""

    def __init__(self, hubspot: HubSpot) -> None:
        super().__init__(self._routes(), "hubspot")
        self.hubspot = hubspot

    def _routes(self) -> Starlette:
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._handle, methods=methods)])

    async def _handle(self, request: Request) -> Response:
        await asyncio.sleep(self.hubspot.latency)
        path, query, headers = request.url.path, dict(request.query_params), dict(request.headers)
        return self.hubspot.handle(RawRequest(request.method, path, query, headers, await request.body()))


@contextmanager
def running_hubspot(hubspot: HubSpot | None = None) -> Iterator[RunningHubSpot]:
    running = RunningHubSpot(hubspot or HubSpot())
    running.start()
    try:
        yield running
    finally:
        running.stop()
