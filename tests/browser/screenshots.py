"""`make screenshots`: write the pictures of the console in `docs/images`."""

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from tests.support.chromium import running_chromium
from tests.support.documents import ROOT
from tests.support.office import FIRST_ID, bodies
from tests.support.patience import http_client
from tests.support.relay import RelayProcess, running_relay

FOLDER: Final = ROOT / "docs/images"
TOKEN: Final = "console-token-of-the-screenshots"
CALLS: Final = 90
SETTLE_SECONDS: Final = 2.0
SETTINGS: Final = """
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[console]
tokens = ["{token}"]
[destinations.crm]
client = "local"
path = "crm.db"
record_url = "https://crm.example.com/calls/{{remote_id}}"
[destinations.erp]
client = "webhook"
url = "http://127.0.0.1:9/calls"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_private = true
"""

SPREAD: Final = """
    UPDATE events SET received_at = (SELECT began_at FROM calls WHERE calls.id = events.call)
    WHERE call IS NOT NULL
"""
"""The events of all calls are sent at once; as if each had arrived when its call began."""

DESKTOP: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 780}
PICTURES: Final = (
    ("overview", "", "en-GB", "light", DESKTOP),
    ("calls", "calls", "es-ES", "light", DESKTOP),
    ("call", f"call?id={FIRST_ID}", "en-GB", "dark", DESKTOP),
    ("quarantine", "quarantine", "en-GB", "light", DESKTOP),
    ("calls-phone", "calls", "en-GB", "light", PHONE),
)
"""The name of each picture, its page, language, colours and window."""


def main() -> None:
    """Run a relay with the calls of an office, and take each picture of its pages."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_relay(Path(folder), SETTINGS.format(token=TOKEN)) as relay,
        running_chromium() as browser,
    ):
        fill(relay)
        for name, path, locale, colours, window in PICTURES:
            page = open_console(browser, relay.url, locale, colours, window)
            page.goto(f"{relay.url}/console/{path}")
            page.screenshot(path=FOLDER / f"{name}.png")
            page.context.close()


def fill(relay: RelayProcess) -> None:
    """Send the events of the office, and one body that goes to quarantine."""
    with http_client(relay.url) as client:
        for body in [*bodies(CALLS), {"event": "call.ended", "data": {"reason": "no id"}}]:
            client.post("/cloudtalk/webhook", json=body)
    time.sleep(SETTLE_SECONDS)
    with closing(sqlite3.connect(relay.folder / "relay.db", timeout=10)) as ledger, ledger:
        ledger.execute(SPREAD)


def open_console(browser: Browser, url: str, locale: str, colours: str, window: dict[str, int]) -> Page:
    """Return a page of a person who has signed in."""
    context = browser.new_context(locale=locale, color_scheme=colours, viewport=window)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{url}/console/")
    page.locator("#token").fill(TOKEN)
    page.locator("button.primary").click()
    page.locator("main h1").wait_for()
    return page


if __name__ == "__main__":
    main()
