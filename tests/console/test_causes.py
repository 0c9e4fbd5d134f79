"""From "a call is missing" to its reason: at most two clicks from the start page, for each cause.

The pages are those of the real application. A click is a form that is sent, or a link that is followed.
"""

import html
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urljoin

import httpx
import pytest

from relay.app import Relay, create_app
from relay.instants import Instant
from relay.ledger.errors import LedgerTimeout
from relay.operations.call_list import Page
from relay.settings import load
from tests.support import causes
from tests.support.cause_cases import CALLS, DELIVERIES, MISSING, Case
from tests.support.causes import UUID, Scene, scene

MOST_CLICKS: Final = 2
_COMMAND_OR_TIME: Final = re.compile(r"[(]?`[^`]*`[)]?|20$")
"""What pages show in other words: buttons instead of commands, and short times."""


class Person:
    """Somebody who opens the start page and counts clicks. The text of the page: without tags."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._page = httpx.Response(200)
        self.clicks = 0

    async def open_start_page(self) -> None:
        self._page = await self._client.get("/console")
        assert self._page.status_code == 200

    async def search(self, text: str) -> None:
        (form,) = re.findall(r'<form[^>]*role="search"[^>]*>.*?</form>', self._page.text, re.DOTALL)
        (action,) = re.findall(r'action="([^"]*)"', form)
        (name,) = re.findall(r'<input name="(\w+)" type="search"', form)
        await self._click(f"{html.unescape(action)}?{urlencode({name: text})}")

    async def open_first_call(self) -> None:
        row = re.search(r'<tr data-id=.*?<a href="([^"]*)"', self._page.text, re.DOTALL)
        assert row is not None, self.text
        await self._click(html.unescape(row[1]))

    async def _click(self, link: str) -> None:
        self.clicks += 1
        self._page = await self._client.get(urljoin(str(self._page.url), link))

    @property
    def text(self) -> str:
        body = self._page.text.partition("<main")[2]
        return " ".join(html.unescape(re.sub(r"<[^>]*>", "", body)).split())


@asynccontextmanager
async def person_at(prepared: Scene, language: str) -> AsyncIterator[Person]:
    """A person at the application of the scene's ledger. Nothing is folded or delivered meanwhile."""
    relay = Relay(load(prepared.home.path))
    await relay.ledger.open()
    try:
        transport = httpx.ASGITransport(create_app(relay), client=("127.0.0.1", 4321))
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1:8080",
            headers={"accept-language": language},
            follow_redirects=True,
        ) as client:
            yield Person(client)
    finally:
        await relay.ledger.close()


async def find_reason(prepared: Scene, language: str, wanted: str, parts: Iterable[str]) -> None:
    """Search for the call, and open it if the list has it: the page has these parts of the sentence."""
    async with person_at(prepared, language) as person:
        await person.open_start_page()
        await person.search(wanted)
        if not has_parts(person.text, parts):
            await person.open_first_call()
        assert has_parts(person.text, parts), person.text
        assert person.clicks <= MOST_CLICKS


def has_parts(text: str, parts: Iterable[str]) -> bool:
    words = [piece.strip() for part in parts for piece in _COMMAND_OR_TIME.split(part)]
    assert any(words)
    return all(word in text for word in words)


@pytest.mark.parametrize(
    "case", [*DELIVERIES, *CALLS], ids=lambda case: f"{case.cause}-{case.prepare.__name__}"
)
async def test_two_clicks_explain_a_delivery(tmp_path: Path, case: Case) -> None:
    async with scene(tmp_path) as prepared:
        await case.prepare(prepared)
        if case.served:
            await prepared.serve()
        await find_reason(prepared, "en", "cloudtalk-1", case.english)
        await find_reason(prepared, "es", "cloudtalk-1", case.spanish)


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.cause)
async def test_one_click_explains_an_id_without_a_call(tmp_path: Path, case: Case) -> None:
    async with scene(tmp_path) as prepared:
        await case.prepare(prepared)
        wanted = "cloudtalk-42" if case.cause == "unknown_id" else "42"
        await find_reason(prepared, "en", wanted, [part.replace("42", wanted) for part in case.english])
        await find_reason(prepared, "es", wanted, [part.replace("42", wanted) for part in case.spanish])


async def test_a_call_that_retention_deleted_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.pruned(prepared)
        await find_reason(prepared, "en", "cloudtalk-1", ["Retention deleted cloudtalk-1 at"])


async def test_a_forgotten_call_that_a_crm_has_not_erased_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.forgotten(prepared)
        await find_reason(prepared, "en", "cloudtalk-1", ["crm has not erased its record"])
        await find_reason(prepared, "es", "cloudtalk-1", ["crm todavía no ha borrado su registro"])


async def test_a_call_that_was_merged_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.merged(prepared)
        expected = f"cloudtalk-42 was merged into cloudtalk-{UUID}, which is shown"
        await find_reason(prepared, "en", "cloudtalk-42", [expected])


NO_MATCH: Final = "Try a part of the number, the beginning of a name, or fewer filters."


@pytest.mark.parametrize(
    "wanted", ["garcia", "+34 699 999 999", "699999999", "5679", "612-345-999", "612 345 999"]
)
async def test_a_name_or_a_number_that_no_call_has_is_no_unknown_id(tmp_path: Path, wanted: str) -> None:
    async with scene(tmp_path) as prepared, person_at(prepared, "en") as person:
        await prepared.start_call()
        await person.open_start_page()
        await person.search(wanted)
        assert NO_MATCH in person.text
        assert "has arrived" not in person.text


async def test_an_id_has_no_reason_while_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.console.pages.calls.list_calls", lambda *_: Page([], "2.b", Instant(2)))
    async with scene(tmp_path) as prepared, person_at(prepared, "en") as person:
        await prepared.start_call()
        await person.open_start_page()
        await person.search("cloudtalk-99")
        assert "Searched back to" in person.text
        assert "has arrived" not in person.text


async def test_a_reason_that_takes_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(*_: object) -> None:
        raise LedgerTimeout("it takes too long")

    monkeypatch.setattr("relay.console.pages.calls.explain_missing_call", explain)
    async with scene(tmp_path) as prepared, person_at(prepared, "en") as person:
        await prepared.start_call()
        await person.open_start_page()
        await person.search("cloudtalk-99")
        assert NO_MATCH in person.text
