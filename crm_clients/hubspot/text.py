"""What people read in HubSpot: titles, and bodies of a little HTML."""

import html
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

LONGEST: Final = 65_000
"""Characters. HubSpot: a text property holds 65 536."""

_MARKER: Final = " … [cut]"
_LONGEST_NAME: Final = 200
_OVERHEAD: Final = 200
"""Characters that a section's tags, heading and marker may need besides its text."""


def titled(sections: Iterable[tuple[str, str]]) -> str:
    """HTML of headed sections, escaped, LONGEST at most; what does not fit is cut and says so."""
    body = ""
    for heading, text in sections:
        room = LONGEST - len(body) - _OVERHEAD
        if room <= 0:
            break
        body += f"<p><strong>{html.escape(heading)}</strong><br>{_escaped(text, room)}</p>"
    return body


def _escaped(text: str, room: int) -> str:
    """Cut before it is escaped, so that no entity is cut in two."""
    whole = _lines(text)
    if len(whole) <= room:
        return whole
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_lines(text[:middle])) <= room else (low, middle - 1)
    return _lines(text[:low]) + _MARKER


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def plain(markup: str) -> str:
    """The words of some HTML: HubSpot may store it in other tags than it was sent in."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def short(text: str) -> str:
    """A name in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_NAME else line[:_LONGEST_NAME] + "…"


def text_of(value: Any) -> str:
    """A field in a property of the team's own; HubSpot takes texts only, and lists with semicolons."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ";".join(map(str, value))
        case dict():
            return clean(msgspec.json.encode(value).decode())[:LONGEST]
        case _:
            return clean(str(value))[:LONGEST]


def clean(text: str) -> str:
    """Without NUL and halves of surrogate pairs, which no JSON text of HubSpot's can hold."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()
