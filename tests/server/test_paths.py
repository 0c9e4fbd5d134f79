"""The paths that are not the webhook's."""

import itertools
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from relay.app import create_app
from relay.server.paths import not_found
from tests.support.in_process import in_process_relay, settings_in

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
HOOK = "/in/calls"


@pytest.mark.parametrize(
    "path",
    ["//in/calls", "/in//calls", "/in/calls//", "///in///calls///call.started", "/in/calls//call.started"],
)
async def test_doubled_slashes_are_read_as_one(tmp_path: Path, path: str) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": HOOK})
    async with in_process_relay(settings) as (_, client):
        response = await client.post(f"http://127.0.0.1:8080{path}", json=STARTED)
        assert (response.status_code, response.json()["id"]) == (200, "cloudtalk-1")
        assert (await client.get("http://127.0.0.1:8080//healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/in"),
        ("POST", "/in/callsigns"),
        ("POST", "/webhook"),
        ("PUT", "/IN/CALLS"),
        ("POST", "/api//in/calls"),
        ("DELETE", "/health"),
        ("GET", "/favicon.ico"),
    ],
)
async def test_a_wrong_path_is_logged_and_answered_with_the_webhooks(
    tmp_path: Path, method: str, path: str
) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": HOOK})
    async with in_process_relay(settings) as (_, client):
        with capture_logs() as lines:
            response = await client.request(method, path, params={"token": "never-logged"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["title"], problem["status"]) == ("Not Found", 404)
    assert problem["detail"].endswith(f"the webhook's path is {HOOK}")
    (line,) = [line for line in lines if line["event"] == "http.not_found"]
    assert line == {
        "event": "http.not_found",
        "log_level": "warning",
        "method": method,
        "path": path.replace("//", "/"),
        "client": "127.0.0.1",
        "unlogged": 0,
    }


@pytest.mark.parametrize("path", ["/relay/in/calls", "/relay//in/calls/call.started", "/in/calls"])
async def test_a_proxy_may_add_a_root_path(tmp_path: Path, path: str) -> None:
    """As with `uvicorn app:app --root-path /relay`."""
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": HOOK})
    async with in_process_relay(settings) as (relay, _):
        transport = httpx.ASGITransport(create_app(relay), root_path="/relay")
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            assert (await client.post(path, json=STARTED)).status_code == 200
            assert (await client.get("/relay/healthz")).status_code == 200
            assert (await client.post("/relay/out/calls", json=STARTED)).status_code == 404


async def test_the_path_in_the_log_is_shortened(tmp_path: Path) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (_, client):
        with capture_logs() as lines:
            await client.get("/" + "x" * 5000)
    assert [len(line["path"]) for line in lines if line["event"] == "http.not_found"] == [200]


async def test_a_scan_of_many_paths_fills_no_log() -> None:
    times = [0.0]
    handlers = {404: not_found(HOOK, lambda: times[0])}
    transport = httpx.ASGITransport(Starlette(exception_handlers=handlers))
    async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
        with capture_logs() as lines:
            for number in range(50):
                assert (await client.get(f"/{number}")).status_code == 404
            times[0] = 60.0
            for name in ("a", "b"):
                await client.get(f"/{name}")
    assert [line["path"] for line in lines] == [*(f"/{number}" for number in range(20)), "/a", "/b"]
    assert [line["unlogged"] for line in lines] == [*(0 for _ in range(20)), 30, 0]


async def test_no_response_redirects_sets_a_cookie_or_allows_another_origin(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": HOOK})
    headers = {"origin": "https://foreign.example", "access-control-request-method": "POST"}
    forbidden = ("location", "refresh", "set-cookie", "access-control-")
    targets = (
        "/",
        "/healthz",
        "/healthz/",
        "/readyz",
        "/metrics/",
        "/recordings",
        HOOK,
        f"{HOOK}/",
        "/in",
        "/../etc/passwd",
        f"{HOOK}/%2e%2e/%2e%2e/x",
    )
    async with in_process_relay(settings) as (_, client):
        for method, target in itertools.product(("GET", "POST", "OPTIONS"), targets):
            response = await client.request(method, target, headers=headers)
            assert not response.is_redirect
            assert [name for name in response.headers if name.startswith(forbidden)] == []
            assert response.headers["content-type"].startswith(("application/", "text/plain"))


async def test_the_start_page_leads_to_the_console_if_it_is_open(tmp_path: Path) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (_, client):
        response = await client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "console")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_start_page_says_where_the_webhook_is(tmp_path: Path, method: str) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": HOOK})
    async with in_process_relay(settings) as (_, client):
        response = await client.request(method, "/", headers={"via": "1.1 a proxy"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    if method == "GET":
        assert "CloudTalk Relay" in response.text
        assert f"POST {HOOK}\n" in response.text
