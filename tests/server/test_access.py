"""Who may open which path of the relay."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from structlog.testing import capture_logs

from relay.app import Relay, create_app
from relay.console.routes import PAGES
from relay.console.routes import Requires as PageRequires
from relay.server.access import Guard, Guarded
from relay.server.paths import WebhookFirst
from tests.support.in_process import in_process_relay, settings_in

TOKEN = "token-of-the-tests-0123456789"
LOCAL, STRANGER = "127.0.0.1", "192.0.2.1"


class Requires(Enum):
    """What a request for a route needs."""

    NOTHING = "nothing"
    TOKEN = "token"
    """One of the tokens of a section of the settings; without any, an origin on this machine."""
    SESSION = "session"
    """A session of the console; without tokens of the console, an origin on this machine."""
    SIGNED_LINK = "signed link"
    """A signature in the query: browsers and CRMs have no token."""


class Rule(NamedTuple):
    requires: Requires
    section: str = ""
    method: str = "GET"


ROUTES = {
    "/cloudtalk/webhook": Rule(Requires.TOKEN, "cloudtalk", "POST"),
    "/recordings/{name:path}": Rule(Requires.SIGNED_LINK),
    "/": Rule(Requires.NOTHING),
    "/healthz": Rule(Requires.NOTHING),
    "/readyz": Rule(Requires.NOTHING),
    "/console": Rule(Requires.SESSION),
    "/console/": Rule(Requires.SESSION),
    "/console/calls": Rule(Requires.SESSION),
    "/console/calls/rows": Rule(Requires.SESSION),
    "/console/calls.csv": Rule(Requires.SESSION),
    "/console/call": Rule(Requires.SESSION),
    "/console/call/deliveries": Rule(Requires.SESSION),
    "/console/call/push": Rule(Requires.SESSION, method="POST"),
    "/console/dead-letters": Rule(Requires.SESSION),
    "/console/dead-letters/kind": Rule(Requires.SESSION),
    "/console/dead-letters/replay": Rule(Requires.SESSION, method="POST"),
    "/console/dead-letters/drop": Rule(Requires.SESSION, method="POST"),
    "/console/quarantine": Rule(Requires.SESSION),
    "/console/quarantine/reason": Rule(Requires.SESSION),
    "/console/quarantine/retry": Rule(Requires.SESSION, method="POST"),
    "/console/quarantine/drop": Rule(Requires.SESSION, method="POST"),
    "/console/audit": Rule(Requires.SESSION),
    "/console/set-up": Rule(Requires.SESSION),
    "/console/set-up/destinations": Rule(Requires.SESSION),
    "/console/set-up/check": Rule(Requires.SESSION, method="POST"),
    "/console/set-up/test": Rule(Requires.SESSION, method="POST"),
    "/console/set-up/destination": Rule(Requires.SESSION, method="POST"),
    "/console/sign-in": Rule(Requires.NOTHING, method="POST"),
    "/console/sign-out": Rule(Requires.SESSION, method="POST"),
    "/console/preferences": Rule(Requires.NOTHING, method="POST"),
    "/metrics": Rule(Requires.TOKEN, "metrics"),
}
"""Every route of the relay. A new one is added here with what it requires, and the tests below try it."""

GUARDED = [path for path, rule in ROUTES.items() if rule.requires is Requires.TOKEN]


def paths_of(routes: list[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in routes:
        assert isinstance(route, Route | Mount), f"{route} is of a kind that this test does not know"
        if route.path == "/console" and isinstance(route, Mount):
            yield from (route.path + page.path for page in PAGES)
        elif isinstance(route, Mount):
            yield from paths_of(route.routes or [], prefix + route.path)
        else:
            yield prefix + route.path


def client_of(relay: Relay, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(relay), client=(address, 4321))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


async def status(relay: Relay, path: str, address: str = LOCAL, **headers: str) -> int:
    async with client_of(relay, address) as client:
        body = {"event": "call.started", "data": {"id": "1"}} if ROUTES[path].method == "POST" else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.request(ROUTES[path].method, path, json=body, headers=named)).status_code


def test_every_route_is_listed(tmp_path: Path) -> None:
    app = create_app(Relay(settings_in(tmp_path)))
    assert isinstance(app, WebhookFirst)
    others = app._others
    assert isinstance(others, Starlette)
    assert {app._prefix.rstrip("/"), *paths_of(others.routes)} == set(ROUTES)


def test_each_page_of_the_console_requires_what_is_listed() -> None:
    pages = {f"/console{page.path}": page for page in PAGES}
    listed = {path: rule for path, rule in ROUTES.items() if path.startswith("/console/")}
    assert {path: page.method for path, page in pages.items()} == {p: r.method for p, r in listed.items()}
    assert {path for path, page in pages.items() if page.requires is PageRequires.NOTHING} == {
        path for path, rule in listed.items() if rule.requires is Requires.NOTHING
    }


OPEN = [path for path, rule in ROUTES.items() if rule.requires is Requires.NOTHING and rule.method == "GET"]


@pytest.mark.parametrize("path", OPEN)
async def test_an_open_route_answers_everybody(tmp_path: Path, path: str) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (relay, _):
        forwarded = {"x_forwarded_for": "203.0.113.1", "host": "relay.example.com"}
        assert await status(relay, path, STRANGER, **forwarded) == 200


@pytest.mark.parametrize("path", GUARDED)
async def test_a_guarded_route_needs_a_listed_token(tmp_path: Path, path: str) -> None:
    settings = settings_in(tmp_path, **{ROUTES[path].section: {"tokens": [TOKEN]}})
    async with in_process_relay(settings) as (relay, _):
        for address in (LOCAL, STRANGER):
            assert await status(relay, path, address) == 401
            assert await status(relay, path, address, authorization=f"Bearer {TOKEN[:-1]}") == 401
            assert await status(relay, path, address, authorization="Bearer ") == 401
            assert await status(relay, path, address, authorization=f"Bearer {TOKEN}") == 200


async def test_a_recording_needs_a_signed_link_whatever_token_comes_with_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"tokens": [TOKEN]})
    async with in_process_relay(settings) as (relay, _), client_of(relay, LOCAL) as client:
        for query in ("", "?s=", "?s=AAAA", f"?token={TOKEN}"):
            headers = {"authorization": f"Bearer {TOKEN}"}
            assert (
                await client.get(f"/recordings/cloudtalk-1.wav{query}", headers=headers)
            ).status_code == 403


@pytest.mark.parametrize("path", GUARDED)
async def test_without_tokens_a_guarded_route_answers_programs_on_this_machine(
    tmp_path: Path, path: str
) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (relay, _):
        assert await status(relay, path) == 200
        assert await status(relay, path, STRANGER) == 401
        assert await status(relay, path, host="relay.example.com") == 401
        for header in ("forwarded", "x_forwarded_for", "x_real_ip", "via", "cf_ray", "true_client_ip"):
            assert await status(relay, path, **{header: "203.0.113.1"}) == 401


# --- the guard --------------------------------------------------------------------------------------


def behind(guard: Guard, address: str = LOCAL) -> httpx.AsyncClient:
    app = Guarded(guard, PlainTextResponse("open"))
    transport = httpx.ASGITransport(app, client=(address, 4321))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


async def test_a_refusal_names_the_setting_and_the_scheme() -> None:
    async with behind(Guard("pages", [TOKEN])) as client:
        response = await client.get("/")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="pages"'
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == (
        "a token is missing: send Authorization: Bearer with one of pages.tokens"
    )


async def test_any_listed_token_opens_also_as_a_password() -> None:
    async with behind(Guard("pages", ["other-token-of-tests", TOKEN]), STRANGER) as client:
        assert (await client.get("/", headers={"authorization": f"bearer {TOKEN}"})).text == "open"
        assert (await client.get("/", auth=("prometheus", TOKEN))).text == "open"
        assert (await client.get("/", params={"token": TOKEN})).status_code == 401
        assert (await client.get("/", headers={"x-webhook-token": TOKEN})).status_code == 401


async def test_replaced_tokens_count_at_once() -> None:
    guard = Guard("pages", [TOKEN])
    assert guard.is_listed(TOKEN)
    guard.set_tokens(["new-token-of-the-tests"])
    assert (guard.is_listed(TOKEN), guard.is_listed("new-token-of-the-tests")) == (False, True)


FROM_A_LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, 200),
        ("GET", {"sec-fetch-site": "same-origin"}, 200),
        ("GET", FROM_A_LINK | {"referer": "https://mail.example/"}, 200),
        ("POST", FROM_A_LINK, 401),
        ("GET", FROM_A_LINK | {"sec-fetch-dest": "iframe"}, 401),
        ("GET", FROM_A_LINK | {"sec-fetch-mode": "no-cors"}, 401),
        ("GET", {"origin": "https://foreign.example"}, 401),
        ("POST", {"origin": "http://127.0.0.1:8080"}, 200),
        ("POST", {"origin": "https://foreign.example"}, 401),
    ],
)
async def test_without_tokens_a_page_of_another_server_can_only_link_here(
    method: str, headers: dict[str, str], expected: int
) -> None:
    async with behind(Guard("pages", [])) as client:
        response = await client.request(method, "/?search=1", headers=headers)
    assert response.status_code == expected


async def test_failures_are_logged_with_the_area_and_throttled_but_a_listed_token_is_not() -> None:
    guard = Guard("pages", [TOKEN])
    async with behind(guard, STRANGER) as client:
        with capture_logs() as lines:
            statuses = [(await client.get("/")).status_code for _ in range(61)]
        assert statuses == [401] * 60 + [429]
        assert (await client.get("/", headers={"authorization": f"Bearer {TOKEN}"})).status_code == 200
    expected: dict[str, Any] = {
        "event": "ingest.unauthorised",
        "log_level": "warning",
        "area": "pages",
        "reason": "no_token",
        "client": STRANGER,
        "failures": 1,
    }
    assert lines == [expected]
