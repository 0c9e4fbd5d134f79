"""Who sees the console, and how its responses are protected."""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from relay.console.routes import PAGES, Requires
from relay.ledger.errors import LedgerTimeout
from relay.settings import Settings
from tests.support.browsing import TOKEN, browsing
from tests.support.in_process import settings_in

OTHER_TOKEN = "other-token-of-the-console"
FORWARDED = {"x-forwarded-for": "203.0.113.1"}
PROTECTED = [page for page in PAGES if page.requires is Requires.SESSION]


def is_sign_in(page: httpx.Response) -> bool:
    return 'type="password"' in page.text


def events_of_console(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    return [line["event"] for line in lines if line["event"].startswith("console.")]


# --- sign-in ------------------------------------------------------------------------------------


async def test_without_a_session_a_page_is_the_sign_in(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        page = await browser.open()
        assert page.status_code == 401
        assert is_sign_in(page)


@pytest.mark.parametrize("page", PROTECTED, ids=lambda page: f"{page.method} {page.path}")
async def test_each_page_needs_a_session(settings: Settings, page: object) -> None:
    assert isinstance(page, type(PAGES[0]))
    path = "/console" + re.sub(r"\{\w+(:\w+)?\}", "1", page.path)
    async with browsing(settings, address="203.0.113.1") as (_, browser):
        await browser.open()
        response = await (browser.post(path) if page.method == "POST" else browser.open(path))
        assert response.status_code == 401
        assert is_sign_in(response)


async def test_the_token_opens_the_page_that_was_asked_for(settings: Settings) -> None:
    async with browsing(settings, address="203.0.113.1", headers=FORWARDED) as (_, browser):
        await browser.open("/console/?day=2026-11-27&q=a%26b")
        next_page = re.search(r'name="next" value="([^"]*)"', browser.page.text)
        assert next_page is not None
        assert next_page[1] == "?day=2026-11-27&amp;q=a%26b"
        page = await browser.post("/console/sign-in", token=TOKEN, next="?day=2026-11-27&q=a%26b")
        assert page.status_code == 200
        assert not is_sign_in(page)
        assert str(page.url) == "http://127.0.0.1:8080/console/?day=2026-11-27&q=a%26b"


@pytest.mark.parametrize("wrong", ["//evil.example/", "https://evil.example", "../healthz", "/a", "a\\b"])
async def test_the_sign_in_leads_to_no_page_outside_the_console(settings: Settings, wrong: str) -> None:
    async with browsing(settings) as (_, browser):
        page = await browser.sign_in(next=wrong)
        assert str(page.url) == "http://127.0.0.1:8080/console/"


async def test_a_wrong_token_is_refused_logged_and_throttled(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.open()
        with capture_logs() as lines:
            pages = [await browser.post("/console/sign-in", token="x" * 20) for _ in range(11)]
        assert [page.status_code for page in pages] == [401] * 10 + [429]
        assert "not in the settings" in pages[0].text
        assert 0 < int(pages[-1].headers["retry-after"]) <= 60
        assert [line for line in lines if line["event"] == "ingest.unauthorised"] == [
            {
                "event": "ingest.unauthorised",
                "log_level": "warning",
                "area": "console",
                "reason": "wrong_token",
                "client": "127.0.0.1",
                "failures": 1,
            }
        ]
        # Wrong tokens of somebody else, behind the same proxy, lock nobody out.
        page = await browser.post("/console/sign-in", token=TOKEN)
        assert page.status_code == 200


async def test_a_sign_in_and_a_sign_out_are_logged_with_the_session(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        with capture_logs() as lines:
            await browser.sign_in()
            await browser.post("/console/sign-out")
        logged = [line for line in lines if line["event"].startswith("console.")]
        assert [line["event"] for line in logged] == ["console.signed_in", "console.signed_out"]
        assert logged[0]["session"] == logged[1]["session"]
        assert logged[0]["client"] == "127.0.0.1"
        assert TOKEN not in repr(lines)


async def test_a_sign_in_begins_a_new_session(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.open()
        before = browser.client.cookies["relay-console"]
        await browser.sign_in()
        assert browser.client.cookies["relay-console"].split(".")[0] != before.split(".")[0]


async def test_after_the_sign_out_a_copy_of_the_cookie_opens_nothing(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        copied = browser.client.cookies["relay-console"]
        assert is_sign_in(await browser.post("/console/sign-out"))
        browser.client.cookies.clear()
        browser.client.cookies["relay-console"] = copied
        assert is_sign_in(await browser.open())


async def test_a_session_ends_when_its_token_is_removed(settings: Settings, tmp_path: Path) -> None:
    async with browsing(settings) as (relay, browser):
        assert not is_sign_in(await browser.sign_in())
        await relay.reload_secrets(settings_in(tmp_path, console={"tokens": [OTHER_TOKEN]}))
        assert is_sign_in(await browser.open())
        assert not is_sign_in(await browser.sign_in(OTHER_TOKEN))


async def test_the_cookie_is_guarded(settings: Settings, tmp_path: Path) -> None:
    async with browsing(settings) as (_, browser):
        cookie = (await browser.open()).headers["set-cookie"]
        assert cookie.startswith("relay-console=")
        assert set(cookie.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=strict"}
    encrypted = settings_in(
        tmp_path,
        server={"public_url": "https://relay.example.com"},
        cloudtalk={"tokens": ["token-of-the-senders"]},
        console={"tokens": [TOKEN]},
    )
    async with browsing(encrypted) as (_, browser):
        cookie = (await browser.open()).headers["set-cookie"]
        assert cookie.startswith("__Host-relay-console=")
        assert set(cookie.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=strict", "Secure"}


# --- forged forms -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "csrf"),
    [
        ({}, "0" * 64),
        ({}, ""),
        ({"origin": "https://evil.example"}, None),
        ({"origin": "null"}, None),
        ({"origin": "http://["}, None),
        ({"sec-fetch-site": "cross-site"}, None),
        ({"sec-fetch-site": "same-site"}, None),
    ],
)
async def test_a_forged_form_changes_nothing_and_is_logged(
    settings: Settings, headers: dict[str, str], csrf: str | None
) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        own = {"csrf": csrf} if csrf is not None else {}
        with capture_logs() as lines:
            page = await browser.post("/console/sign-out", headers, **own)
            await browser.post("/console/sign-out", headers, **own)
        assert page.status_code == 403
        refused = [line for line in lines if line["event"] == "ingest.unauthorised"]
        # The second one is in the sum of the minute.
        assert [(line["area"], line["reason"]) for line in refused] == [("console", "forged_form")]
        assert not is_sign_in(await browser.open())


async def test_the_form_of_another_session_is_forged(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.page.text)
        assert csrf is not None
        await browser.sign_in()
        assert (await browser.post("/console/sign-out", csrf=csrf[1])).status_code == 403


async def test_a_proxy_may_replace_the_host(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path,
        server={"public_url": "https://relay.example.com/calls"},
        cloudtalk={"tokens": ["token-of-the-senders"]},
        console={"tokens": [TOKEN]},
    )
    async with browsing(settings, url="https://127.0.0.1:8080") as (_, browser):
        await browser.open()
        origin = {"origin": "https://relay.example.com", "sec-fetch-site": "same-origin"}
        page = await browser.post("/console/sign-in", origin, token=TOKEN)
        assert page.status_code == 200


@pytest.mark.parametrize("body", [b"x" * 70_000, b"&".join([b"a=1"] * 2_000), b"\xff\xfe"])
async def test_a_body_that_is_no_small_form_is_refused(settings: Settings, body: bytes) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        response = await browser.client.post("/console/sign-out", content=body)
        assert response.status_code == 400


# --- without tokens -----------------------------------------------------------------------------


async def test_without_tokens_a_browser_on_this_machine_uses_the_console(tmp_path: Path) -> None:
    async with browsing(settings_in(tmp_path)) as (_, browser):
        page = await browser.open("/")
        assert page.status_code == 200
        assert str(page.url) == "http://127.0.0.1:8080/console"
        page = await browser.post("/console/preferences", language="es")
        assert 'lang="es"' in page.text


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.1", {}),
        ("127.0.0.1", FORWARDED),
        ("127.0.0.1", {"host": "relay.example.com"}),
        ("127.0.0.1", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
    ],
)
async def test_without_tokens_it_is_closed_for_others(
    tmp_path: Path, address: str, headers: dict[str, str]
) -> None:
    async with browsing(settings_in(tmp_path), address=address, headers=headers) as (_, browser):
        page = await browser.open()
        assert page.status_code == 403
        assert "tokens_file" in page.text
        start = await browser.open("/")
        assert (start.status_code, start.headers["content-type"]) == (200, "text/plain; charset=utf-8")


async def test_without_tokens_the_console_of_a_public_relay_is_closed_and_names_the_setting(
    tmp_path: Path,
) -> None:
    settings = settings_in(
        tmp_path,
        server={"public_url": "https://relay.example.com"},
        cloudtalk={"tokens": ["token-of-the-senders"]},
    )
    async with browsing(settings) as (_, browser):
        page = await browser.open()
        assert page.status_code == 403
        assert "[console]" in page.text
        assert (await browser.open("/console/sign-in")).status_code == 403
        assert (await browser.open("/")).headers["content-type"].startswith("text/plain")


# --- responses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/console", "/console/nothing", "/console/static/console.css"])
async def test_each_response_has_strict_headers(settings: Settings, path: str) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        headers = (await browser.open(path)).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_pages_are_not_stored_and_static_files_are(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        page = await browser.open()
        assert page.headers["cache-control"] == "no-store"
        style = re.search(r'href="([^"]*console\.css[^"]*)"', page.text)
        assert style is not None
        file = await browser.open(f"/{style[1]}")
        assert file.headers["content-type"] == "text/css; charset=utf-8"
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (await browser.open("/console/static/console.css")).headers["cache-control"] == "no-cache"
        for name in ("nothing.css", "../context.py", "%2e%2e/context.py"):
            assert (await browser.open(f"/console/static/{name}")).status_code in {401, 404}


async def test_links_are_relative(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        for path, up in (("/console", "console/"), ("/console/", "./"), ("/console/a/b", "../")):
            assert f'href="{up}static/console.css' in (await browser.open(path)).text


async def test_an_unknown_page_is_404(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        await browser.sign_in()
        page = await browser.open("/console/nothing")
        assert page.status_code == 404
        assert "There is no such page" in page.text
        assert (await browser.client.put("/console/")).status_code == 405


async def test_the_switches_are_remembered(settings: Settings) -> None:
    async with browsing(settings) as (_, browser):
        assert 'lang="es"' in (await browser.open(accept_language="es-ES")).text
        await browser.sign_in()
        page = await browser.post("/console/preferences", theme="dark", next="")
        assert 'data-theme="dark"' in page.text
        page = await browser.post("/console/preferences", language="es", next="")
        assert 'lang="es" data-theme="dark"' in page.text
        page = await browser.post("/console/preferences", language="xx", theme="<b>", next="")
        assert 'lang="es" data-theme="dark"' in page.text


async def test_a_page_that_takes_too_long_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def view(_: object) -> None:
        raise LedgerTimeout("it takes too long")

    async with browsing(settings) as (relay, browser):
        await browser.sign_in()
        monkeypatch.setattr(relay.ledger, "view", view)
        for path in ("/console/calls", "/console/calls/rows"):
            page = await browser.open(path)
            assert page.status_code == 503
            assert "The page took too long" in page.text
            assert "Limit a search" in page.text
            assert "If other pages are slow too, run <code>relay check</code>" in page.text


async def test_a_page_without_a_search_does_not_advise_to_limit_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def view(_: object) -> None:
        raise LedgerTimeout("it takes too long")

    async with browsing(settings) as (relay, browser):
        await browser.sign_in()
        csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', browser.page.text)[0]
        monkeypatch.setattr(relay.ledger, "view", view)
        pages = [await browser.open(), await browser.post("/console/call/push", id="1", csrf=csrf)]
        for page in pages:
            assert page.status_code == 503
            assert "The database of the relay does not answer. Run <code>relay check</code>" in page.text
            assert "Limit a search" not in page.text


async def test_the_check_of_a_session_waits_for_no_search(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def view(_: object) -> None:
        raise LedgerTimeout("it takes too long")

    async with browsing(settings) as (relay, browser):
        await browser.sign_in()
        copied = browser.client.cookies["relay-console"]
        await browser.post("/console/sign-out")
        browser.client.cookies.clear()
        browser.client.cookies["relay-console"] = copied
        monkeypatch.setattr(relay.ledger, "view", view)
        assert is_sign_in(await browser.open())


async def test_an_unreadable_ledger_is_503(settings: Settings) -> None:
    async with browsing(settings) as (relay, browser):
        await browser.sign_in()
        assert relay.ledger.path is not None
        Path(relay.ledger.path).unlink()  # noqa: ASYNC240 - no other task runs in the test
        page = await browser.open()
        assert page.status_code == 503
        assert "relay check" in page.text


async def test_a_fault_of_a_page_is_logged_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browsing(settings) as (relay, browser):
        await browser.sign_in()

        def fail() -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(relay.ledger, "now", fail)
        with capture_logs() as lines:
            page = await browser.open()
        assert page.status_code == 500
        assert events_of_console(lines) == ["console.failed"]
        assert "a bug" not in page.text


def test_the_pages_are_imported_when_the_first_one_is_asked_for() -> None:
    source = (
        "import sys, relay.app; print('jinja2' in sys.modules, 'relay.console.application' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)  # noqa: S603 - this interpreter
    assert done.stdout == "False False\n"
