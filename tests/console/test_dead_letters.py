"""The pages of dead letters, and what their forms do."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.instants import Instant
from relay.ledger import actions, calls, deliveries, destinations
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from tests.support.browsing import Browser, browsing
from tests.support.deliveries import delivered_update
from tests.support.in_process import settings_in
from tests.support.samples import RECEIVED_AT, make_call_row

HOSTILE = "too long <b>here</b>"
DEAD = delivered_update(
    state=DeliveryState.DEAD,
    delivered_version=0,
    outcome="rejected",
    code="22001",
    message=HOSTILE,
    attempted_at=RECEIVED_AT,
)


def fill(connection: Connection) -> None:
    """Three dead letters: two of one kind. The destination is paused, so that nothing is sent."""
    destinations.register(connection, {"crm": "local"})
    destinations.pause(connection, "crm", now=Instant(1))
    rows = [make_call_row(f"cloudtalk-{number}", 1, contact_name=f"Name {number}") for number in range(3)]
    calls.write(connection, rows, [])
    deliveries.enqueue(connection, [(row.id, 1) for row in rows], now=RECEIVED_AT)
    updates = [msgspec.structs.replace(DEAD, call=row.id) for row in rows]
    updates[2] = msgspec.structs.replace(updates[2], code="23502", message="agente is null")
    deliveries.settle(connection, "crm", updates, now=RECEIVED_AT)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Relay, Browser]]:
    crm = LocalSettings(client="local", path=tmp_path / "crm.db")
    async with browsing(settings_in(tmp_path, destinations={"crm": crm})) as (relay, browser):
        await relay.ledger.write(fill)
        await browser.open("/console/dead-letters")
        yield relay, browser


async def states(relay: Relay) -> list[str]:
    rows = [
        await relay.ledger.read(lambda c, i=number: deliveries.list_for_call(c, f"cloudtalk-{i}"))  # type: ignore[misc]
        for number in range(3)
    ]
    return [row.state for (row,) in rows]


async def test_they_are_grouped_with_the_words_of_the_crm(
    opened: tuple[Relay, Browser],
) -> None:
    page = opened[1].page.text
    assert page.index('crm · <span class="break">22001') < page.index("23502")
    assert '<span class="count bad">2</span>' in page
    assert "<q>too long &lt;b&gt;here&lt;/b&gt;</q>" in page
    assert "<b>here" not in page
    assert page.count("too long") == 1
    assert "Send all 2 again" in page


async def test_all_of_a_kind_are_sent_again(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    kind = {"destination": "crm", "outcome": "rejected", "code": "22001"}
    with capture_logs() as lines:
        page = await browser.post("/console/dead-letters/replay", **kind)
    assert "Sent again: 2." in page.text
    assert await states(relay) == ["pending", "pending", "dead"]
    (line,) = [line for line in lines if line["event"] == "console.action"]
    assert (line["action"], line["target"]) == ("dead_letters.replay", "crm rejected 22001")
    done = await relay.ledger.read(lambda c: actions.list_for_calls(c, [], ["crm"], since=Instant(0)))
    assert [(each.action, each.who) for each in done] == [("dead.replay", line["session"])]


async def test_one_is_given_up_on_the_page_of_its_kind(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    page = await browser.open("/console/dead-letters/kind?destination=crm&outcome=rejected&code=22001")
    assert ("Name 0" in page.text, "Name 1" in page.text, "Name 2" in page.text) == (True, True, False)
    fields = {"id": "cloudtalk-1", "destination": "crm", "outcome": "rejected", "code": "22001"}
    page = await browser.post("/console/dead-letters/drop", **fields, **{"from": "group"})
    assert "Given up: 1" in page.text
    assert ("Name 0" in page.text, "Name 1" in page.text) == (True, False)
    assert await states(relay) == ["dead", "dropped", "dead"]


async def test_after_the_last_of_a_kind_all_kinds_are_shown(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    fields = {"id": "cloudtalk-2", "destination": "crm", "outcome": "rejected", "code": "23502"}
    page = await browser.post("/console/dead-letters/replay", **fields, **{"from": "group"})
    assert page.url.path == "/console/dead-letters"
    assert "Sent again: 1." in page.text
    assert await states(relay) == ["dead", "dead", "pending"]


async def test_a_form_without_a_kind_changes_nothing(opened: tuple[Relay, Browser]) -> None:
    relay, browser = opened
    assert (await browser.post("/console/dead-letters/drop")).status_code == 400
    assert await states(relay) == ["dead"] * 3


async def test_an_empty_list_says_that_all_is_well(opened: tuple[Relay, Browser]) -> None:
    _relay, browser = opened
    for code in ("22001", "23502"):
        await browser.open("/console/dead-letters")
        await browser.post("/console/dead-letters/drop", destination="crm", outcome="rejected", code=code)
    assert "Nothing failed for good" in browser.page.text
    page = await browser.open("/console/dead-letters", accept_language="es")
    assert "Ninguna falló definitivamente" in page.text
