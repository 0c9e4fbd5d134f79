"""Words and names that must not come back: each had a standard term, and readers stumbled over it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

WORDS: Final = {
    r"ow(?:e|es|ed|ing)": "pending, enqueue",
    r"couriers?": "delivery worker",
    r"anew": "again",
    r"whoever": "name the person or the program",
    r"mend(?:s|ed|ing)?": "correct, repair",
    r"bears?|bore|borne|bearing": "has, contains",
    r"(?:a|the|each|every|one|this|its) marks?": "delivery",
    r"halv(?:e|ed|ing)": "bisect",
    r"guilty": "suspect",
    r"hopeless": "should_stop",
    r"verdicts?": "transition",
    r"tells?|told|telling": "says, reports, logs",
    r"tak(?:e|es|en|ing) back|took back": "retract",
    r"let(?:s|ting)? in": "admit, authenticate",
    r"budgets?": "rate limit",
    r"said_at": "occurred_at",
    r"speaks? (?:to|of|over)": "call, describe, win over",
    r"stands? (?:in|there|here|by|over|under|beside)": "is in, is there",
}
"""Patterns of words in any text, and what to write instead."""

NAMES: Final = frozenset(
    re.findall(
        r"\w+",
        """
        Door problem_before Visitor entrance_of open_to Hook Answer Received Said Shape word_of Part
        Reader TolerantReader FactReader Place Admission Refused Stale Unreadable Unrendered World Plan
        owe Due Settlement Turn Turns turns take_turn owe_again revive_run bring_forward Courier Purpose
        BRING LOOK TAKE_BACK Judge Verdict stand Schedule Wait pressing prove Memory recall Pace
        Round Trouble When THEIRS Ends Manners owes watching purpose_of settlement letter letters
        """,
    )
)
"""Identifiers of code, exactly as they were written."""

ALLOWED: Final = {
    # A key of `calls show --json`, which scripts read.
    "said_at": ("relay/operations/", "relay/cli/", "tests/operations/", "tests/cli/", "docs/"),
}

FOLDERS: Final = ("relay", "crm_clients", "tests", "bench", "website", "docs")


def files(*suffixes: str) -> list[Path]:
    """List the files of the project with these suffixes, but for this one."""
    inside = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    return [f for f in [*ROOT.iterdir(), *inside] if f.suffix in suffixes and f != Path(__file__)]


def is_allowed(word: str, file: Path) -> bool:
    return any(file.relative_to(ROOT).as_posix().startswith(folder) for folder in ALLOWED.get(word, ()))


@pytest.mark.parametrize("pattern", WORDS)
def test_a_word_with_a_standard_term_is_not_used(pattern: str) -> None:
    # An underscore separates words too: identifiers consist of words.
    word = re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", re.IGNORECASE)
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in files(".py", ".md", ".toml")
        if not is_allowed(pattern, file)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if word.search(line)
    ]
    assert not found, f"write “{WORDS[pattern]}” instead:\n" + "\n".join(found)


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.keyword(arg=str(name)):
                yield name, node.lineno


def test_no_former_name_is_used_in_code() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files(".py")
        for name, line in identifiers(ast.parse(file.read_text()))
        if name in NAMES or name.strip("_") in NAMES
    ]
    assert not found


def test_the_test_sees_words_inside_identifiers() -> None:
    word = re.compile(r"(?<![^\W_])(?:ow(?:e|es|ed|ing))(?![^\W_])", re.IGNORECASE)
    assert word.search("oldest_owed_since")
    assert not word.search("followed by its owner, allowed")
