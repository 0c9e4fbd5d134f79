"""The built site: every link leads somewhere, nothing comes from elsewhere, lists and tables are whole."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.support.documents import ROOT
from website import stage
from website.__main__ import build
from website.navigation import ENGLISH, NAVIGATION, SPANISH
from website.stage import documents, place

FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS: Final = ("pre", "table", "li", "img", "h2", "h3")


class Page(HTMLParser):
    """A page: its links, the ids in it, what it loads, and how many blocks of each kind its text has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.blocks: Counter[str] = Counter()
        self._in_text = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag == "article":
            self._in_text = True
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in {"script", "img", "link", "source"}:
            self.loaded += [values[key] for key in ("src", "href") if key in values]
        if self._in_text:
            self.blocks[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._in_text = False


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def broken_links(pages: dict[Path, Page]) -> Iterator[tuple[str, str]]:
    for path, page in pages.items():
        for link in page.links + page.loaded:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme:
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                anchor and target in pages and unquote(anchor) not in pages[target].ids
            ):
                yield path.name, link


def test_every_link_and_anchor_leads_somewhere(pages: dict[Path, Page]) -> None:
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert list(broken_links(pages)) == []


def test_nothing_is_loaded_from_another_host(pages: dict[Path, Page]) -> None:
    assert [url for page in pages.values() for url in page.loaded if urlsplit(url).netloc] == []


def test_every_document_is_a_page_and_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    first = pages[site / "index.html"]
    reached = {link.removeprefix("./") for link in first.links}
    names = [place(source) for source in documents(ENGLISH)]
    expected = {f"{name.removesuffix('.md')}.html" for name in names if name}
    assert expected <= reached


def test_the_navigation_in_spanish_says_which_pages_are_english(site: Path) -> None:
    page = (site / "es/index.html").read_text()
    for entry in (entry for section in NAVIGATION for entry in section.entries):
        assert (f"{entry.spanish} (en inglés)" in page) == (not (site / "es" / page_of(entry.file)).exists())


def page_of(name: str) -> str:
    return f"{name.removesuffix('.md')}.html"


@pytest.mark.parametrize("language", [ENGLISH, SPANISH], ids=["english", "spanish"])
def test_lists_tables_and_code_are_rendered(language: object, site: Path, pages: dict[Path, Page]) -> None:
    """Python-Markdown reads lists and nested blocks differently from GitHub: none may become plain text."""
    for source in documents(SPANISH if language is SPANISH else ENGLISH):
        text = (ROOT / source).read_text()
        found = pages[site / page_of(place(source) or source)].blocks
        assert {name: found[name] for name in BLOCKS} == expected_blocks(text), source


def expected_blocks(text: str) -> dict[str, int]:
    prose = FENCE.sub("", text)
    return {
        "pre": len(FENCE.findall(text)),
        "table": len(re.findall(r"^ *\|[:| ]*-[-:| ]*\|$", prose, re.MULTILINE)),
        "li": len(re.findall(r"^ *(?:[-*]|\d+\.) ", prose, re.MULTILINE)),
        "img": len(re.findall(r"!\[", prose)),
        "h2": len(re.findall(r"^## ", prose, re.MULTILINE)),
        "h3": len(re.findall(r"^### ", prose, re.MULTILINE)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [("[a](missing.md)", "leads to no file"), ("[a](console.md#missing)", "non-zero exit status")],
)
def test_a_broken_link_fails_the_build(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    for source in [*documents(ENGLISH), *documents(SPANISH)]:
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        (root / source).write_text(
            f"# {source}\n\n[b](console.md)\n" if source.startswith("docs/") else "# x\n"
        )
    for source in documents(ENGLISH):
        if source.count("/") > 1:
            (root / source).write_text("# 0. x\n")
    (root / "docs/images").mkdir()
    (root / "docs/webhook.schema.json").write_text("{}")
    (root / "docs/es/console.md").write_text("# console\n")
    monkeypatch.setattr(stage, "ROOT", root)
    build(tmp_path / "site")
    (root / "docs/hosting.md").write_text(f"# Hosting\n\n{text}\n")
    with pytest.raises((subprocess.CalledProcessError, FileNotFoundError), match=message):
        build(tmp_path / "site")
