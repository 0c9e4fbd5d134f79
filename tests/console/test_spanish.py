"""Each page in Spanish, with what goes wrong on it: no sentence of the relay is English."""

import html
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from relay.instants import Instant
from relay.ledger import destinations, warnings
from relay.ledger.connection import Connection
from relay.ledger.destinations import Pause
from relay.settings import load
from tests.console.test_dead_letters import fill as fill_dead_letters
from tests.support.browsing import TOKEN, Browser, browsing
from tests.support.samples import RECEIVED_AT

HOOK: Final = "/cloudtalk/webhook"
NOWHERE: Final = "http://127.0.0.1:9"
ENGLISH: Final = re.compile(
    r"\b(the|of|and|is|are|was|were|with|without|this|that|which|not|from|by|have|its|been|cannot|than|or|to"
    r"|for|call|yet|delivered|rejected|missed|failed)\b",
    re.IGNORECASE,
)
"""Words that no Spanish sentence has."""

FOREIGN: Final = re.compile(
    r"«[^»]*»|/tmp/[^ ]*|call[.][a-z]+|\bCall\b(?: (?:Ringing on )?[A-Z][a-z]+)?"
    "|All connection attempts failed|Name or service not known"
)
"""Words of a CRM, of a library and of CloudTalk's pages, files of this test, and names of events."""

FOREIGN_TAGS: Final = frozenset({"code", "pre", "script", "style", "option", "q"})
SHOWN_ATTRIBUTES: Final = ("title", "aria-label", "alt", "placeholder", "data-label")
VOID_TAGS: Final = frozenset({"input", "meta", "link", "br", "img", "line", "rect", "path", "circle"})
NAMES: Final = {"English", "ended", "started"}


class SpanishTexts(HTMLParser):
    """Collects what a person reads of a page, without code and quotations."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_foreign = any(self._open) or tag in FOREIGN_TAGS
        if not is_foreign:
            self.texts += [value for name in SHOWN_ATTRIBUTES if (value := values.get(name))]
        if tag not in VOID_TAGS:
            self._open.append(is_foreign)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID_TAGS and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._open):
            self.texts.append(" ".join(data.split()))


def english_in(page: str) -> list[str]:
    parser = SpanishTexts()
    parser.feed(page.replace("/>", ">"))
    texts = [FOREIGN.sub("", text) for text in parser.texts]
    return sorted({text for text in texts if ENGLISH.search(text) and text not in NAMES})


SETTINGS: Final = f"""
[server]
public_url = "http://relay.example/cloudtalk/webhook"
[cloudtalk]
tokens = ["change-me-change-me"]
signing_secrets = ["whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"]
company_ids = ["7"]
[cloudtalk.api]
key_id = "k"
key_secret = "s3cr3t"
base_url = "{NOWHERE}"
analytics_url = "{NOWHERE}"
ai_url = "{NOWHERE}"
[ledger]
url = "sqlite:///relay.db"
[console]
tokens = ["{TOKEN}"]
[reconcile]
every_minutes = 5
[alerts]
webhook_url = "{NOWHERE}/alerts"
[recordings]
proxy = true
keep = true
signing_keys = ["0123456789abcdef0123456789abcdef"]
[destinations.crm]
client = "local"
path = "crm.db"
[destinations.broken]
client = "local"
path = "settings.toml/crm.db"
[destinations.off]
client = "local"
path = "off.db"
enabled = false
[destinations.supabase]
client = "supabase"
url = "{NOWHERE}"
key = "sb_secret_0123456789"
table = "calls"
[destinations.hubspot]
client = "hubspot"
token = "pat-0123456789"
base_url = "{NOWHERE}"
[destinations.webhook]
client = "webhook"
url = "{NOWHERE}/calls"
secret = "whsec_MTIz"
"""
"""Much is wrong or unsafe."""


BODIES: Final[list[Any]] = [
    {"event": "call.ended", "data": {"status": "completed"}},
    {"event": "call.ended", "data": {"id": "{{call_uuid}}"}},
    {"event": "call.ended", "data": {"id": "7", "ended_at": "soon"}},
    {"event": "call.ended", "data": {"id": "7", "duration": "long", "recording_url": "no"}},
    {"event": "call.ended", "data": {"id": "7" * 201}},
    {"event_type": "call.ended", "company_id": "9", "call_uuid": "u"},
    {"event_type": "call.born", "call_uuid": "u"},
    ["text"],
    [{}] * 2_000,
]


def fill(connection: Connection, now: Instant) -> None:
    fill_dead_letters(connection)
    warnings.record(
        connection,
        warnings.CLOCK_OFF,
        now,
        "the signature is 400 s old (server time 2024-11-28T10:30:00Z)",
    )
    warnings.record(connection, f"{warnings.REFUSED}wrong_token", now, "203.0.113.7")
    pause = Pause("failing", 60, "unreachable", f"No connection to {NOWHERE}: ConnectError.")
    until = Instant(RECEIVED_AT + 10**15)
    destinations.pause_until(connection, "supabase", pause, until=until, now=RECEIVED_AT)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A person who has signed in at a relay with calls, dead letters and each body of `BODIES`."""
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    async with browsing(load(path), url="http://relay.example") as (relay, browser):
        browser.client.headers["accept-language"] = "es"
        now = relay.ledger.now()
        await relay.ledger.write(lambda connection: fill(connection, now))
        headers = {"authorization": "Bearer change-me-change-me"}
        for body in BODIES:
            await browser.client.post(HOOK, json=body, headers=headers)
        await browser.sign_in()
        yield browser


LINK: Final = re.compile(r'<a [^>]*href="([^"]*)"')


async def test_no_page_has_an_english_sentence(browser: Browser) -> None:
    found = {"/console": english_in((await browser.open("/console")).text)}
    waiting = ["/console"]
    while waiting:
        page = await browser.open(waiting.pop())
        for link in LINK.findall(page.text):
            url = str(page.url.join(html.unescape(link))).partition("#")[0]
            if "relay.example/console" in url and url not in found and ".csv" not in url:
                found[url] = english_in((await browser.open(url)).text)
                waiting.append(url)
    for action in ("check", "test"):
        await browser.open("/console/set-up")
        found[action] = english_in((await browser.post(f"/console/set-up/{action}")).text)
    assert {url: texts for url, texts in found.items() if texts} == {}
    assert len(found) > 10
