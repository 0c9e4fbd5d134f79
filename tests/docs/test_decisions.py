"""docs/decisions: each page has a number of its own, which its heading repeats, and links lead to pages."""

import re
from pathlib import Path
from typing import Final

from tests.support.documents import DOCUMENTS, ROOT

FOLDER: Final = ROOT / "docs/decisions"
PAGES: Final = sorted(FOLDER.glob("*.md"))


def number_of(page: Path) -> int:
    name = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", page.name)
    assert name, page.name
    return int(name[1])


def test_the_numbers_are_unique_and_none_is_missing() -> None:
    assert [number_of(page) for page in PAGES] == list(range(1, len(PAGES) + 1))


def test_the_heading_of_a_page_has_its_number() -> None:
    headings = {page: page.read_text().partition("\n")[0] for page in PAGES}
    assert [
        page.name for page, text in headings.items() if not text.startswith(f"# {number_of(page)}. ")
    ] == []


def test_links_to_decisions_lead_to_pages() -> None:
    links = [
        (document, target)
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]*\b\d{4}-[a-z0-9-]+\.md)", document.read_text())
    ]
    assert len(links) >= 3
    assert [link for link in links if not (link[0].parent / link[1]).is_file()] == []


def test_a_number_in_the_text_of_a_link_is_that_of_its_page() -> None:
    pairs = [
        pair
        for document in DOCUMENTS
        for pair in re.findall(r"\[[Dd]ecision (\d+)\]\((?:[^)]*/)?(\d{4})-", document.read_text())
    ]
    assert pairs
    assert [pair for pair in pairs if int(pair[0]) != int(pair[1])] == []
