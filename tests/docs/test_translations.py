"""A page of docs/es has the same chapters, blocks, code and links as the English page, so that none drifts.

A failure shows the first block that differs: translate what changed. Pages without a Spanish one are English
only, as website/navigation.py says in the Spanish navigation.
"""

import re
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.documents import ROOT

SPANISH: Final = ROOT / "docs/es"
PAGES: Final = sorted(path.name for path in SPANISH.glob("*.md"))
TRANSLATED: Final = {
    "README.md",
    "cloudtalk-setup.md",
    "console.md",
    "hosting.md",
    "hubspot.md",
    "moving-over.md",
    "operations.md",
    "privacy.md",
    "recordings.md",
    "settings.md",
    "supabase.md",
    "webhook.md",
    "what-to-do.md",
}
"""The pages for people who try, connect and run the relay."""

OVERVIEW: Final = "settings.md"
"""Its Spanish page has the chapters of the English one, which is generated, and less text."""

LAST_CHAPTER: Final = {"README.md": "Commands"}
"""The last chapter that is translated."""

WORDS: Final = {
    "YOUR_TOKEN": "SU_TOKEN",
    "test-1": "prueba-1",
    '"contact_name":"Test"': '"contact_name":"Prueba"',
    "Contact's name": "Nombre del Contacto",
    " --lang es": "",
}
"""What Spanish code has in place of English words."""

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"(^|\s)#\s.*$", re.MULTILINE)
_CELL_BORDER: Final = re.compile(r"(?<!\\)\|")
_ITEM: Final = re.compile(r"^ *(?:[-*]|\d+\.) ")


class Block(NamedTuple):
    """A heading, paragraph, list item, row of a table or code block, as both languages must have it."""

    kind: str
    code: frozenset[str]
    """The words in code font, or the text of a code block without comments."""
    links: frozenset[str]
    """The names of the files that links lead to."""


def blocks_of(text: str) -> list[Block]:
    """Read a page into blocks, without its words."""
    found = []
    for part in split(text):
        if fence := _FENCE.fullmatch(part):
            found.append(Block(f"code {fence[2]}", frozenset({strip(fence[3])}), frozenset()))
        else:
            links = re.findall(r"\]\(([^)#\s]*)", part)
            names = frozenset(Path(link).name for link in links if link and "://" not in link)
            found.append(Block(kind_of(part), code_in(part), names))
    return found


def split(text: str) -> list[str]:
    """Return headings, paragraphs, list items, rows and code blocks one by one."""
    fences = list(_FENCE.finditer(text))
    parts: list[str] = []
    begin = 0
    for fence in fences:
        parts += split_prose(text[begin : fence.start()])
        parts.append(fence[0])
        begin = fence.end()
    return parts + split_prose(text[begin:])


def split_prose(text: str) -> list[str]:
    parts: list[str] = []
    is_new = True
    for line in text.splitlines():
        begins = is_new or line.startswith(("|", "#", "![")) or _ITEM.match(line)
        is_new = not line.strip()
        if is_new:
            continue
        if begins:
            parts.append(line)
        else:
            parts[-1] += f"\n{line}"
    return parts


def kind_of(part: str) -> str:
    if heading := re.match(r"#+ ", part):
        return f"heading {len(heading[0]) - 1}"
    if part.startswith("|"):
        return f"row of {len(_CELL_BORDER.findall(part)) - 1} cells"
    return "item" if _ITEM.match(part) else "image" if part.startswith("![") else "paragraph"


def code_in(part: str) -> frozenset[str]:
    words = (" ".join(word.split()) for word in re.findall(r"(?<!`)`([^`]+)`", part))
    return frozenset(map(translate, words))


def strip(code: str) -> str:
    lines = (line.strip() for line in _COMMENT.sub("", code).splitlines())
    return translate("\n".join(line for line in lines if line))


def translate(code: str) -> str:
    for english, spanish in WORDS.items():
        code = code.replace(english, spanish)
    return code


def english_of(name: str) -> str:
    path = ROOT / name if name == "README.md" else ROOT / "docs" / name
    text = path.read_text()
    if name in LAST_CHAPTER:
        head, found, rest = text.partition(f"\n## {LAST_CHAPTER[name]}\n")
        assert found
        text = head + found + rest.partition("\n## ")[0]
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def spanish_of(name: str) -> str:
    return (SPANISH / name).read_text()


def test_the_pages_for_users_are_in_spanish() -> None:
    assert set(PAGES) == TRANSLATED


@pytest.mark.parametrize("name", sorted(TRANSLATED - {OVERVIEW}))
def test_both_languages_have_the_same_blocks(name: str) -> None:
    """The chapter says where the difference is: it is the last one that both languages have."""
    chapter = ""
    pairs = zip_longest(split(english_of(name)), split(spanish_of(name)), fillvalue="")
    for english, spanish in pairs:
        chapter = english if english.startswith("#") else chapter
        assert blocks_of(spanish) == blocks_of(english), (
            f"{name}, {chapter}:\n--- English\n{english}\n--- Spanish\n{spanish}"
        )


def test_the_overview_of_the_settings_has_every_section() -> None:
    headings = [
        re.findall(r"^##+ .*$", text, re.MULTILINE) for text in (english_of(OVERVIEW), spanish_of(OVERVIEW))
    ]
    assert headings[0] == headings[1]


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("a `key` b", "a b"),
        ("a", "a\n\nb"),
        ("## a", "### a"),
        ("- a\n- b", "- a"),
        ("| `a` | b |", "| `b` | b |"),
        ("| a | b |", "| a |"),
        ("[a](b.md)", "[a](c.md)"),
        ("```sh\na   # one\n```", "```sh\nb   # uno\n```"),
        ("```sh\na\n```", "```toml\na\n```"),
        ("![a](b.png)", "a"),
    ],
)
def test_a_difference_is_found(english: str, spanish: str) -> None:
    assert blocks_of(english) != blocks_of(spanish)


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("a `key`, see [b](b.md#part)", "`key` c, véase [b](../b.md#parte)"),
        ("one\ntwo", "uno"),
        ("```sh\na   # one\n```", "```sh\na      # uno\n```"),
        ("`YOUR_TOKEN`", "`SU_TOKEN`"),
        ("- a\n  b\n- c", "- a\n- c"),
    ],
)
def test_words_may_differ(english: str, spanish: str) -> None:
    assert blocks_of(english) == blocks_of(spanish)
