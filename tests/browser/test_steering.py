"""A person steers a real relay in a real browser: dead letters, quarantine and set-up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.support.chromium import overflow, serious_faults
from tests.support.patience import http_client
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import free_port

TOKEN = "console-token-0123456789"
WEBHOOK_TOKEN = "kq8Xw2Lr0vNf7sYb5tGh3mJd"
PAGES = ("dead-letters", "dead-letters/kind?destination=crm&outcome=rejected&code=22001")
QUARANTINE = ("quarantine", "quarantine/reason?reason=unknown_event", "set-up")
PHONE = {"locale": "es-ES", "color_scheme": "dark", "viewport": {"width": 390, "height": 844}}


@pytest.fixture
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """A relay with two delivered calls, of which one is made a dead letter, and a body in quarantine."""
    folder = tmp_path_factory.mktemp("relay")
    settings = f"""
        [server]
        port = {free_port()}
        [cloudtalk]
        tokens = ["{WEBHOOK_TOKEN}"]
        [ledger]
        url = "sqlite:///relay.db"
        [console]
        tokens = ["{TOKEN}"]
        [destinations.crm]
        client = "local"
        path = "crm.db"
    """
    with running_relay(folder, settings) as running:
        headers = {"authorization": f"Bearer {WEBHOOK_TOKEN}"}
        with http_client(running.url, headers=headers) as client:
            for id_ in ("1", "2"):
                client.post("/cloudtalk/webhook/call.started", json={"call_uuid": f"u-{id_}"})
            client.post("/cloudtalk/webhook", json={"event": "call.teleported", "call_uuid": "u-3"})
        eventually(lambda: crm_rows(folder / "crm.db"), lambda rows: len(rows) == 2)
        refuse(running, "cloudtalk-u-1")
        yield running


def refuse(relay: RelayProcess, call: str) -> None:
    """Make the delivery of a call a dead letter, as if the CRM had refused it."""
    dead = "state = 'dead', delivered_version = 0, outcome = 'rejected', code = '22001', message = 'too long'"
    eventually(lambda: state(relay, call), lambda found: found == "delivered")
    with closing(sqlite3.connect(relay.folder / "relay.db")) as ledger, ledger:
        ledger.execute(f"UPDATE deliveries SET {dead} WHERE call = ?", (call,))  # noqa: S608 - a constant
    with closing(sqlite3.connect(relay.folder / "crm.db")) as crm, crm:
        crm.execute("DELETE FROM calls WHERE id = ?", (call,))


def state(relay: RelayProcess, call: str) -> str:
    with closing(sqlite3.connect(relay.folder / "relay.db")) as ledger:
        (found,) = ledger.execute("SELECT state FROM deliveries WHERE call = ?", (call,)).fetchone()
    return str(found)


def sign_in(page: Page, relay: RelayProcess, path: str) -> None:
    page.goto(f"{relay.url}/console/{path}")
    page.locator("#token").fill(TOKEN)
    page.locator("button.primary").click()
    expect(page.locator("nav").first).to_be_attached()


@pytest.mark.parametrize("context", [{}, PHONE], indirect=True, ids=["en", "es phone dark"])
def test_every_page_is_accessible_and_fits_its_window(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "")
    for path in (*PAGES, *QUARANTINE):
        page.goto(f"{relay.url}/console/{path}")
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        assert serious_faults(page) == [], path
        assert overflow(page) <= 0, path
        assert WEBHOOK_TOKEN not in page.content(), path


def test_a_dead_letter_is_sent_again(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "dead-letters")
    expect(page.locator("q")).to_have_text("too long")
    give_up = page.locator("summary", has_text="Give up")
    before = give_up.bounding_box()
    page.locator("summary", has_text="Send again").click()
    # No other button moves under the pointer.
    assert give_up.bounding_box() == before
    page.get_by_role("button", name="Send again", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Sent again: 1.")).to_be_visible()
    eventually(lambda: crm_rows(relay.folder / "crm.db"), lambda rows: "cloudtalk-u-1" in rows)
    page.goto(f"{relay.url}/console/dead-letters")
    expect(page.get_by_role("heading", name="Nothing failed for good")).to_be_visible()


def test_a_body_in_quarantine_is_read_retried_and_deleted(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "quarantine")
    page.get_by_role("link", name="Look at them").click()
    page.locator("summary", has_text="What was sent").click()
    expect(page.locator("pre").first).to_contain_text("call.teleported")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="Still in quarantine: 1.")).to_be_visible()
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="The quarantine is empty")).to_be_visible()


def test_the_check_runs_and_a_destination_is_paused_and_resumed(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "set-up")
    page.locator("summary", has_text="Pause").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="crm is paused")).to_be_visible()
    page.get_by_role("button", name="Run the check").click()
    expect(page.get_by_role("log")).to_contain_text("a person paused it")
    assert serious_faults(page) == []
    page.get_by_role("log").get_by_role("link", name="CRMs").click()
    expect(page.locator("#crm-crm")).to_be_in_viewport()
    page.get_by_role("button", name="Resume crm").click()
    expect(page.get_by_role("status").filter(has_text="crm is resumed")).to_be_visible()


def test_a_test_call_is_followed_live_and_removed(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "set-up")
    page.get_by_role("button", name="Send a test call").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("crm: delivered after")
    expect(log).to_contain_text("The test is over: calls of CloudTalk arrive in the CRMs.")
    assert serious_faults(page) == []
    assert sorted(crm_rows(relay.folder / "crm.db")) == ["cloudtalk-u-2"]
