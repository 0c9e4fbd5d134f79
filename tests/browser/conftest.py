"""One Chromium and one relay for each file."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.chromium import running_chromium
from tests.support.patience import PATIENCE

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser that ends with its file: while Playwright runs, its event loop is that of the thread, so
    that no other test of the process could start one.
    """
    expect.set_options(timeout=1_000 * PATIENCE)
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def faults() -> list[str]:
    """What the pages of a test reported: errors of scripts, and what the policy of content refused."""
    return []


@pytest.fixture
def context(chromium: Browser, faults: list[str], request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser of a person, in English on a desktop unless the test is parametrized with other options."""
    options: dict[str, Any] = {"locale": "en-GB", "viewport": DESKTOP} | getattr(request, "param", {})
    opened = chromium.new_context(**options)
    opened.set_default_timeout(1_000 * PATIENCE)
    opened.on("weberror", lambda error: faults.append(str(error.error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
