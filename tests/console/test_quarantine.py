"""The pages of the quarantine, and what their forms do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.app import Relay, hide_secrets
from relay.ledger import quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody
from relay.logs import hide
from relay.operations import quarantine as operations
from tests.support.browsing import Browser, browsing
from tests.support.in_process import settings_in
from tests.support.samples import RECEIVED_AT

SECRET = "token-0123456789-abcdefgh"
HOSTILE = b'{"contact":"<img src=x onerror=alert(1)>","copied":"token-0123456789-abcdefgh"}'
STARTED = b'{"event":"call.started","call_uuid":"u-1"}'


def fill(connection: Connection) -> None:
    """A body that stays, one that can be parsed now, and one of another reason."""
    for reason, raw in {"missing_id": HOSTILE, "not_json": STARTED, "new_reason": b"x"}.items():
        message, kind = f"about {reason}", "application/json"
        body = NewQuarantinedBody(RECEIVED_AT, reason, message, "/id", kind, "/cloudtalk/webhook", "a=1", raw)
        quarantine.add(connection, body)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Relay, Browser]]:
    settings = settings_in(tmp_path, cloudtalk={"tokens": [SECRET]})
    hide_secrets(settings)
    async with browsing(settings) as (relay, browser):
        await relay.ledger.write(fill)
        await browser.open("/console/quarantine")
        yield relay, browser
    hide()


async def ids(relay: Relay) -> list[str]:
    return await relay.ledger.read(operations.list_ids)


async def test_each_reason_says_what_is_wrong_and_what_to_change(opened: tuple[Relay, Browser]) -> None:
    page = opened[1].page.text
    assert "Without the id of a call" in page
    assert "add the key call_uuid or call_id" in page
    assert "about missing_id" in page
    assert "new_reason" in page
    page = (await opened[1].open("/console/quarantine", accept_language="es")).text
    assert "Sin el id de una llamada" in page
    assert "añada la clave call_uuid o call_id" in page


async def test_a_body_is_shown_escaped_and_without_secrets(opened: tuple[Relay, Browser]) -> None:
    page = (await opened[1].open("/console/quarantine/reason?reason=missing_id")).text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img src=x" not in page
    assert SECRET not in page


async def test_a_retry_uses_what_can_be_used_now(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    page = await browser.post("/console/quarantine/retry", reason="not_json")
    assert "Used now: 1" in page.text
    assert await ids(relay) == ["1", "3"]
    page = await browser.post("/console/quarantine/retry", id="1", reason="missing_id", **{"from": "reason"})
    assert page.url.path == "/console/quarantine/reason"
    assert "Still in quarantine: 1." in page.text


async def test_what_is_deleted_is_gone(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    page = await browser.post("/console/quarantine/drop", id="3", reason="new_reason", **{"from": "reason"})
    assert page.url.path == "/console/quarantine"
    assert "Deleted: 1" in page.text
    assert "What people did" in page.text
    assert "Deleted: #3" in page.text
    assert await ids(relay) == ["1", "2"]
    assert (await browser.post("/console/quarantine/drop")).status_code == 400
    for reason in ("missing_id", "not_json"):
        await browser.open("/console/quarantine")
        await browser.post("/console/quarantine/drop", reason=reason)
    assert "The quarantine is empty" in browser.page.text


async def test_a_result_that_nobody_could_have_is_no_number(opened: tuple[Relay, Browser]) -> None:
    for page in ("quarantine", "dead-letters"):
        shown = await opened[1].open(f"/console/{page}?done=dropped&number={'9' * 5_000}")
        assert shown.status_code == 200
