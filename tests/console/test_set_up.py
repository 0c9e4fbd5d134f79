"""The set-up: destinations, check, test call, guide and settings."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.instants import Instant
from relay.ledger import destinations
from relay.ledger.destinations import Pause
from tests.support.browsing import Browser, browsing
from tests.support.in_process import settings_in
from tests.support.samples import RECEIVED_AT
from tests.support.servers import free_port

SECRET = "canary-0123456789-abcdef"


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Relay, Browser]]:
    settings = settings_in(
        tmp_path,
        server={"public_url": f"http://127.0.0.1:{free_port()}"},
        cloudtalk={"tokens": [SECRET], "timezone": "Europe/London"},
        destinations={"crm": LocalSettings(client="local", path=tmp_path / "crm.db")},
    )
    async with browsing(settings) as (relay, browser):
        await browser.open("/console/set-up")
        yield relay, browser


async def paused_reason(relay: Relay) -> str | None:
    return (await relay.ledger.read(lambda c: destinations.get(c, "crm"))).paused_reason


async def test_a_destination_is_paused_and_resumed(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    assert "Resume" not in browser.page.text
    with capture_logs() as lines:
        page = await browser.post("/console/set-up/destination", name="crm", action="pause")
    assert str(page.history[0].headers["location"]).endswith("#crm-crm")
    card = page.text[page.text.index('id="crm-crm"') :]
    assert "crm is paused. Its calls wait" in card[: card.index("</article>")]
    assert await paused_reason(relay) == "paused"
    (line,) = [line for line in lines if line["event"] == "console.action"]
    assert (line["action"], line["target"]) == ("destination.pause", "crm")
    page = await browser.post("/console/set-up/destination", name="crm", action="resume")
    assert "crm is resumed." in page.text
    assert await paused_reason(relay) is None


async def test_a_destination_that_waits_is_probed(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    pause = Pause("failing", 60, "503", "it is down")
    far = Instant(RECEIVED_AT + 10**15)
    await relay.ledger.write(lambda c: destinations.pause_until(c, "crm", pause, until=far, now=Instant(1)))
    page = await browser.open("/console/set-up")
    assert "it is down" in page.text
    assert ("Try now" in page.text, "Resume" in page.text) == (True, False)
    await browser.post("/console/set-up/destination", name="crm", action="probe")
    row = await relay.ledger.read(lambda c: destinations.get(c, "crm"))
    assert row.paused_until is not None
    assert row.paused_until < far


@pytest.mark.parametrize("fields", [{"name": "gone", "action": "pause"}, {"name": "crm", "action": "delete"}])
async def test_an_unknown_destination_or_action_changes_nothing(
    opened: tuple[Relay, Browser], fields: dict[str, str]
) -> None:
    relay, browser = opened
    assert (await browser.post("/console/set-up/destination", **fields)).status_code == 404
    assert await paused_reason(relay) is None


async def test_the_check_shows_its_findings(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    page = await browser.post("/console/set-up/check")
    assert "Nothing failed." in page.text
    await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    page = await browser.post("/console/set-up/check")
    assert "<code>paused</code>" in page.text
    assert 'href="../set-up#crm-crm"' in page.text
    assert "relay destinations" not in page.text
    results = re.findall(r'<span class="pill (bad|warn|good)">', page.text.partition('role="log"')[2])
    assert results[0] == "bad"
    assert results == sorted(results, key=["bad", "warn", "good"].index)
    assert set(results) == {"bad", "warn", "good"}
    assert "Correct what failed, and check again." in page.text
    assert "</html>" in page.text
    assert "content-security-policy" in page.headers


async def test_a_test_call_that_fails_says_why(opened: tuple[Relay, Browser]) -> None:
    page = await opened[1].post("/console/set-up/test")
    assert "nothing answers at http://127.0.0.1:" in page.text
    assert "The test is over. Correct what failed" in page.text
    assert 'name="next" value="set-up"' in page.text
    page = await opened[1].post("/console/preferences", next="set-up", language="es")
    assert "Qué introducir en CloudTalk" in page.text


async def test_the_guide_and_the_settings_have_no_secret(opened: tuple[Relay, Browser]) -> None:
    page = opened[1].page.text
    assert "/cloudtalk/webhook/call.ended" in page
    assert "YOUR_TOKEN" in page
    assert "Europe/London" in page
    assert SECRET not in page
    page = (await opened[1].open("/console/set-up", accept_language="es")).text
    assert "Qué introducir en CloudTalk" in page
    assert "SU_TOKEN" in page
