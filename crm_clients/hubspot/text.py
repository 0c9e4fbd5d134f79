"""Texts in HubSpot: names, values of properties, and bodies in simple HTML."""

import html
import re
from collections.abc import Iterable, Mapping
from itertools import starmap
from typing import Final

import msgspec

from crm_clients.hubspot.languages import Texts

MAX_TEXT_LENGTH: Final = 65_000
"""Characters. HubSpot: a text property holds 65 536."""

_MAX_NAME_LENGTH: Final = 200
_SECTION_OVERHEAD: Final = 200
"""Characters that the tags, heading and cut marker of a section may need besides its text."""

_SECTION_HTML: Final = "<p><strong>{}</strong><br>{}</p>"
_SECTION: Final = re.compile(_SECTION_HTML.format("(.*?)", "(.*?)"), re.DOTALL)


def sections_to_html(sections: Iterable[tuple[str, str]], texts: Texts) -> str:
    """Format pairs of heading and text as escaped HTML of at most MAX_TEXT_LENGTH characters.

    A text that does not fit is cut and ends in a marker; sections without any room are left out.
    """
    body = ""
    for heading, text in sections:
        room = MAX_TEXT_LENGTH - len(body) - _SECTION_OVERHEAD
        if room <= 0:
            break
        body += _SECTION_HTML.format(html.escape(heading), _escape_to_length(text, room, texts.cut))
    return body


def split_sections(body: str) -> list[tuple[str, str]]:
    """Return the sections of a body that `sections_to_html` made, as escaped heading and text."""
    return _SECTION.findall(body)


def merge_sections(existing: str, new: str) -> str:
    """Return the body `existing` with the sections of `new`, which replace sections of the same heading.

    A body that a person has changed, or that HubSpot stores with other tags, stays as it is: sections whose
    text it lacks are added at its end. If the result is too long, `existing` stays.
    """
    sections = dict(split_sections(new))
    own = dict(split_sections(existing))
    if "".join(starmap(_SECTION_HTML.format, own.items())) == existing:
        merged = "".join(starmap(_SECTION_HTML.format, (own | sections).items()))
    else:
        present = html_to_text(existing)
        lacking = {h: text for h, text in sections.items() if html_to_text(text) not in present}
        merged = existing + "".join(starmap(_SECTION_HTML.format, lacking.items()))
    return merged if len(merged) <= MAX_TEXT_LENGTH else existing


def _escape_to_length(text: str, length: int, marker: str) -> str:
    """Search the longest part that fits when escaped: cutting escaped text could cut an entity in two."""
    whole = _escape(text)
    if len(whole) <= length:
        return whole
    low, high = 0, min(len(text), length)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_escape(text[:middle])) <= length else (low, middle - 1)
    return f"{_escape(text[:low])} … [{marker}]"


def _escape(text: str) -> str:
    return html.escape(clean(text)).replace("\n", "<br>")


def html_to_text(markup: str) -> str:
    """Return the words of some HTML, to compare it: HubSpot may store other tags than it received."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def shorten_name(name: str) -> str:
    """Join the lines of a name and cut it at 200 characters."""
    line = " ".join(clean(name).split())
    return line if len(line) <= _MAX_NAME_LENGTH else line[:_MAX_NAME_LENGTH] + "…"


def property_value(value: object) -> str:
    """Format a field of the record for a property of the team's own: lists joined by ";", objects as JSON.

    HubSpot: every property value is a text; "" clears a property.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return clean(";".join(map(str, value)))
        case dict():
            return clean(msgspec.json.encode(value).decode())[:MAX_TEXT_LENGTH]
        case _:
            return clean(str(value))[:MAX_TEXT_LENGTH]


def constant_properties(constants: Mapping[str, object]) -> dict[str, str]:
    """Format the properties that every new record gets; an empty value is left out."""
    formatted = {name: property_value(value) for name, value in constants.items()}
    return {name: value for name, value in formatted.items() if value}


def clean(text: str) -> str:
    """Remove NUL and unpaired surrogates, which HubSpot's JSON cannot hold."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()
