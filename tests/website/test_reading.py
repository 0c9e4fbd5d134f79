"""A reader in Chromium: desktop and phone, light and dark colours, the search and the languages."""

from collections.abc import Iterator
from itertools import product
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import overflow, running_chromium, serious_faults
from tests.support.patience import PATIENCE

SIZES: Final = ((1280, 900), (360, 740))
PAGES: Final = ("index.html", "operations.html", "es/cloudtalk-setup.html", "decisions/index.html")
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page() as found:
        found.set_default_timeout(PATIENCE * 1000)
        yield found


@pytest.mark.parametrize(("size", "scheme"), [*product(SIZES, SCHEMES)])
def test_pages_fit_the_window_and_load_nothing_from_elsewhere(
    size: tuple[int, int], scheme: Literal["light", "dark"], browser: Browser, site_url: str
) -> None:
    with browser.new_page(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en"
    ) as page:
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        for name in PAGES:
            page.goto(f"{site_url}/{name}")
            expect(page.locator("article h1")).to_be_visible()
            assert overflow(page) <= 0, name
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, background.strip("rgb()").split(", "))) > 384) == (scheme == "light")
        assert [url for url in requested if not url.startswith(site_url)] == []


@pytest.mark.parametrize(
    ("start", "words", "found"),
    [("index.html", "quarantine", "Quarantine"), ("es/index.html", "cuarentena", "Cuarentena")],
)
def test_the_search_finds_a_chapter(start: str, words: str, found: str, page: Page, site_url: str) -> None:
    page.goto(f"{site_url}/{start}")
    page.locator("[data-md-component=search] button, .md-search__button").first.click()
    page.get_by_role("combobox").fill(words)
    expect(page.get_by_role("option").filter(has_text=found).first).to_be_visible()


def test_the_language_can_be_changed_on_a_page_and_back(page: Page, site_url: str) -> None:
    page.goto(f"{site_url}/cloudtalk-setup.html")
    for language, heading in (("Español", "Configurar CloudTalk"), ("English", "Setting up CloudTalk")):
        page.locator(".md-select button").hover()
        page.get_by_role("link", name=language).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_is_accessible(scheme: Literal["light", "dark"], browser: Browser, site_url: str) -> None:
    with browser.new_page(color_scheme=scheme) as page:
        for name in ("hosting.html", "es/what-to-do.html"):
            page.goto(f"{site_url}/{name}")
            assert serious_faults(page) == []
