"""The Markdown files of the project, and the code blocks in them."""

import re
import textwrap
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]

_BLOCK: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced code block. `location` is `file:line` of its first line."""

    location: str
    language: str
    text: str


def blocks(*languages: str, of: str = "") -> list[Block]:
    """List the code blocks in these languages, of one document (`docs/webhook.md`) or of all of them."""
    return [
        block
        for file in ([ROOT / of] if of else DOCUMENTS)
        for block in _blocks_in(file)
        if block.language in languages
    ]


def prose(file: Path) -> str:
    """Return a document without its code blocks."""
    return _BLOCK.sub("", file.read_text())


def _blocks_in(file: Path) -> list[Block]:
    text = file.read_text()
    return [
        Block(
            f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 2}",
            found[2],
            textwrap.dedent(found[3]),
        )
        for found in _BLOCK.finditer(text)
    ]
