"""A HubSpot account, as strict as the vendor: it refuses whatever HubSpot would refuse.

Sources: HubSpot's own API description (versions 2026-09 and v3) for paths, required keys and answers;
its guides for limits, partial failures and searches. `running_hubspot` serves one on loopback.
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

from tests.fakes.hubspot_answers import body_of, problem, throttled
from tests.fakes.hubspot_api import CALL_TO_CONTACT, TASK_TO_CONTACT, Account, Asked, Owner
from tests.fakes.hubspot_limits import Limits
from tests.fakes.hubspot_records import Property, Record
from tests.support.servers import ThreadedServer

TOKEN = "pat-eu1-secret-of-the-tests"


@dataclass(frozen=True)
class Incoming:
    """A request as it comes, header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Seen:
    """One request that came in. `action` is what follows the kind, as `batch/upsert`."""

    method: str
    path: str
    kind: str
    action: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    status: int

    @property
    def writes(self) -> bool:
        """Whether it could change something; a batch of nothing cannot."""
        reading = self.method == "GET" or self.action in {"search", "batch/read"}
        return not reading and self.body.get("inputs") != []


@dataclass
class Instead:
    """An answer in the place of HubSpot's own, to requests whose path holds `path`; `after` doing them."""

    response: Response
    path: str
    left: int
    after: bool = False


class HubSpot(Account):
    """An account, the log of what was asked of it, and the faults that tests bring."""

    def __init__(self, *, version: str = "2026-09", region: str = "ES") -> None:
        super().__init__(version, region)
        self.limits = Limits()
        self.latency = 0.0
        self.log: list[Seen] = []
        self._instead: list[Instead] = []

    # --- what tests arrange and look at ---------------------------------------------------------

    def set_up(self) -> None:
        """What `relay setup` makes."""
        self.calls.properties["cloudtalk_call_id"] = Property("cloudtalk_call_id", unique=True)
        self.tasks.properties["cloudtalk_task_id"] = Property("cloudtalk_task_id", unique=True)

    def hire(self, email: str) -> str:
        owner = Owner(str(7001 + len(self.owners)), email)
        self.owners.append(owner)
        return owner.id

    def answer(self, response: Response, *, path: str = "", times: int = 1) -> None:
        """Answer the next requests to this path so, and do nothing."""
        self._instead.append(Instead(response, path, times))

    def answers_again(self) -> None:
        """End what `answer` and `lose_answer` have brought about."""
        self._instead.clear()

    def lose_answer(self, *, path: str, times: int = 1) -> None:
        """Do what the next request to this path asks for, and answer that something went wrong."""
        self._instead.append(
            Instead(problem(500, "Internal error", "INTERNAL_ERROR"), path, times, after=True)
        )

    def contacts_of(self, call_id: str) -> set[str]:
        """The record ids of the contacts that a call is linked to."""
        call = self.calls.one(cloudtalk_call_id=call_id).id
        return {contact for type_, one, contact in self.links if (type_, one) == (CALL_TO_CONTACT, call)}

    def contacts_of_task(self, task: Record) -> set[str]:
        return {c for type_, one, c in self.links if (type_, one) == (TASK_TO_CONTACT, task.id)}

    def delete_contact(self, id_: str) -> None:
        del self.contacts.records[id_]
        self.links = {link for link in self.links if link[2] != id_}

    def count(self, action: str, kind: str = "") -> int:
        return len([seen for seen in self.log if seen.action == action and kind in {"", seen.kind}])

    @property
    def writes(self) -> list[Seen]:
        return [seen for seen in self.log if seen.writes]

    @property
    def throttled(self) -> list[Seen]:
        return [seen for seen in self.log if seen.status == 429]

    # --- requests -------------------------------------------------------------------------------

    def handle(self, request: Incoming) -> Response:
        body = body_of(request.body)
        area, kind, action = self.place(request.path)
        asked = Asked(request.method, area, kind, action, body or {}, request.query)
        response = self._answer(request, asked, readable=body is not None)
        seen = Seen(
            request.method, request.path, kind, action, asked.body, request.headers, response.status_code
        )
        self.log.append(seen)
        return response

    def _answer(self, request: Incoming, asked: Asked, *, readable: bool) -> Response:
        instead = next((i for i in self._instead if i.left > 0 and i.path in request.path), None)
        if instead is not None:
            instead.left -= 1
            if not instead.after:
                return instead.response
        response = self._refusal(request, asked, readable=readable) or self.do(asked)
        response.headers.update(self.limits.headers(searching=asked.action == "search"))
        return response if instead is None else instead.response

    def _refusal(self, request: Incoming, asked: Asked, *, readable: bool) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "Authentication credentials not found", "INVALID_AUTHENTICATION")
        if policy := self.limits.refusal(searching=asked.action == "search"):
            return throttled(policy)
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return problem(415, "Content-Type must be application/json", "VALIDATION_ERROR")
        return None if readable else problem(400, "Invalid input JSON", "VALIDATION_ERROR")


# --- serving ----------------------------------------------------------------------------------


class Running(ThreadedServer):
    """A fake on loopback. Its account may be exchanged for another one at any time."""

    def __init__(self, hubspot: HubSpot) -> None:
        super().__init__(self._routes(), "hubspot")
        self.hubspot = hubspot

    def _routes(self) -> Starlette:
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._handle, methods=methods)])

    async def _handle(self, request: Request) -> Response:
        await asyncio.sleep(self.hubspot.latency)
        path, query, headers = request.url.path, dict(request.query_params), dict(request.headers)
        return self.hubspot.handle(Incoming(request.method, path, query, headers, await request.body()))


@contextmanager
def running_hubspot(hubspot: HubSpot | None = None) -> Iterator[Running]:
    running = Running(hubspot or HubSpot())
    running.start()
    try:
        yield running
    finally:
        running.stop()
