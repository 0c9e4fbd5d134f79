"""Debian's Chromium, driven by Playwright, with axe-core for accessibility."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.npm import installed_file
from tests.support.postgres import exclusive_lock

AXE: Final = "axe-core@4.14.1"
AXE_SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

_ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SERIOUS: Final = {"serious", "critical"}
_INSTALL: Final = (
    ["apt-get", "update", "--quiet"],
    ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium"],
)


def chromium_path() -> str:
    """Return the path of Debian's Chromium. Root installs a missing one; without root the test fails."""
    with exclusive_lock("chromium"):
        if (found := shutil.which("chromium")) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in _INSTALL:
                subprocess.run(command, capture_output=True, timeout=600, check=False)  # noqa: S603 - fixed commands
            found = shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium is missing: as root, apt-get install chromium", pytrace=False)
    return found


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run a headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def serious_faults(page: Page) -> list[str]:
    """Return the serious faults of accessibility that axe-core finds on a page, with the elements."""
    # The policy of the page forbids a script in the page, but not one that the test evaluates.
    page.evaluate(installed_file(AXE, "axe.min.js", AXE_SHA256).read_text())
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {fault['help']}: {node['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in _SERIOUS
        for node in fault["nodes"]
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
