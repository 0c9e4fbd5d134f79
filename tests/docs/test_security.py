"""docs/security.md: each test, file and section that it names exists, and ASVS is covered once and whole."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.documents import ROOT

PAGE: Final = (ROOT / "docs/security.md").read_text()
STATES: Final = {"met", "partly", "operator", "not met", "not applicable"}
REQUIREMENTS: Final = [
    line
    for line in (ROOT / "tests/docs/asvs_5_0_0_level_2.txt").read_text().splitlines()
    if not line.startswith("#")
]
REFERENCE: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")


class Row(NamedTuple):
    """One row of a table: its cells, and the heading above it."""

    heading: str
    cells: list[str]


def rows_of(chapter: str) -> Iterator[Row]:
    """Yield the rows of the tables in one chapter, without their headings."""
    text = PAGE.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    assert text
    for part in text.split("\n### ")[1:]:
        heading, _, body = part.partition("\n")
        table = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
        yield from (Row(heading, cells) for cells in table[2:])


@cache
def names_in(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def file_of(name: str) -> Path:
    """Return the file below `tests/`, or in the kit for clients."""
    below_tests = ROOT / "tests" / name
    return below_tests if below_tests.exists() else ROOT / name


def expand(item: str) -> list[str]:
    """Return the requirements of a chapter (`7`), of a section (`7.1`), or the one of this number."""
    return [each for each in REQUIREMENTS if f"{each}.".startswith(f"{item}.")]


# --- what the page names ---------------------------------------------------------------------------


def test_each_named_test_exists() -> None:
    named = sorted(set(REFERENCE.findall(PAGE)))
    assert len(named) > 100
    assert not [(file, test) for file, test in named if test not in names_in(file_of(file))]


def test_each_named_file_exists() -> None:
    named = set(re.findall(r"`((?:relay|crm_clients|tests)/[\w/.]+\.\w+)`", PAGE))
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_each_link_leads_to_a_file_and_to_a_section() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", PAGE)
    assert len(links) > 20
    for name, section in links:
        target = (ROOT / "docs" / name).resolve() if name else ROOT / "docs/security.md"
        assert target.exists(), name
        if section:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert section in anchors, f"{name}#{section}"


# --- boundaries ------------------------------------------------------------------------------------


def test_each_threat_names_how_it_is_held_and_a_test() -> None:
    rows = list(rows_of("Boundaries"))
    assert len(rows) > 50
    lacking = [row for row in rows if len(row.cells) != 3 or not all(row.cells) or "::" not in row.cells[2]]
    assert not lacking


def test_each_boundary_says_what_remains() -> None:
    text = PAGE.partition("\n## Boundaries\n")[2].partition("\n## ")[0]
    boundaries = text.split("\n### ")[1:]
    assert len(boundaries) == 13
    assert not [part.partition("\n")[0] for part in boundaries if "\nRemains:" not in part]


# --- OWASP ASVS ------------------------------------------------------------------------------------


def test_each_requirement_has_one_row() -> None:
    items = [item for row in rows_of("OWASP ASVS 5.0.0, level 2") for item in re.split(r",\s*", row.cells[0])]
    assert not [item for item in items if not expand(item)]
    covered = Counter(requirement for item in items for requirement in expand(item))
    assert covered == Counter(REQUIREMENTS)
    assert len(REQUIREMENTS) == 253


def test_a_row_is_below_the_heading_of_its_chapter() -> None:
    for row in rows_of("OWASP ASVS 5.0.0, level 2"):
        chapter = re.match(r"V(\d+) ", row.heading)
        assert chapter
        chapters = {item.split(".")[0] for item in re.split(r",\s*", row.cells[0])}
        assert chapters == {chapter[1]}


def test_each_row_has_a_state_and_says_how() -> None:
    for row in rows_of("OWASP ASVS 5.0.0, level 2"):
        _, state, how = row.cells
        assert state in STATES
        assert how.endswith(".")
        if state == "met":
            assert "::" in how or "](" in how, f"no evidence: {how}"
