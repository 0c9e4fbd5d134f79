"""Prepare a Markdown page of the repository for the site: links, and lists as Python-Markdown reads them."""

import posixpath
import re
from collections.abc import Callable
from typing import Final

_FENCE: Final = re.compile(r"^ *```")
_LINK: Final = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
_ITEM: Final = re.compile(r"^(?:[-*]|\d+\.) +")
_INDENTATION: Final = 4
"""Spaces that Python-Markdown expects before a block inside a list item; GitHub accepts two or three."""


def prepare(text: str, rewrite: Callable[[str], str]) -> str:
    """Return a page for the site. `rewrite` gets each link to a file, without its anchor."""
    return _outside_code(_indent_lists(text), lambda part: rewrite_links(part, rewrite))


def rewrite_links(text: str, rewrite: Callable[[str], str]) -> str:
    """Replace the target of each link to a file; links to other hosts and within the page stay."""

    def replaced(found: re.Match[str]) -> str:
        target, sharp, anchor = found[1].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        return f"]({rewrite(target)}{sharp}{anchor})"

    return _LINK.sub(replaced, text)


def resolve(page: str, target: str) -> str:
    """Return the path of a link's target, relative to the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def relative(page: str, target: str) -> str:
    """Return the link from a page to a target. Both are paths from the same root."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to all that is not in a fenced block."""
    parts = re.split(r"(^ *```.*?^ *```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def _indent_lists(text: str) -> str:
    """Indent the blocks of a list item by four spaces, and end its last block before the next item."""
    lines: list[str] = []
    has_blocks = False  # the list item has more than one block
    width = 0  # of the marker of the list item, which its further blocks have as indentation
    fenced = False
    for line in text.split("\n"):
        if not fenced and (item := _ITEM.match(line)):
            if width and has_blocks and lines[-1]:
                lines.append("")
            width, has_blocks = len(item[0]), False
        elif line and not line.startswith(" ") and not fenced:
            width = 0
        has_blocks |= not line
        is_inside = width and line.startswith(" " * width)
        lines.append(" " * (_INDENTATION - width) + line if is_inside else line)
        fenced ^= bool(_FENCE.match(line))
    return "\n".join(lines)
