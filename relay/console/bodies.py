"""Bodies of events as a page shows them, within limits: no event is received while a page is written."""

import json
from collections.abc import Iterable
from typing import Final

import msgspec

from relay.logs import remove_secrets

_LONGEST: Final = 32_768
_LONGEST_PAGE: Final = 262_144
"""Of all bodies of a page, in characters as they are shown."""

_MARGIN: Final = 4_096
"""A secret that begins within the limit is recognised as a whole, and removed."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, indent=2)


def pretty_bodies(bodies: Iterable[str]) -> list[str]:
    """Return the bodies with one field a line if they are JSON, and without secrets. "…": here is more."""
    left, shown = _LONGEST_PAGE, []
    for body in bodies:
        text = _pretty_body(body, min(left, _LONGEST))
        left = max(left - len(text), 0)
        shown.append(text)
    return shown


def _pretty_body(body: str, limit: int) -> str:
    if not limit:
        return "…"
    text = _indent(body, limit + _MARGIN) if len(body) <= limit else body[: limit + _MARGIN]
    shown = remove_secrets(text)
    return shown if len(text) <= limit else f"{shown[:limit]}…"


def _indent(body: str, limit: int) -> str:
    """Return at least so many characters of the indented body, if it has them: spaces can be most of them."""
    written: list[str] = []
    size = 0
    try:
        for part in _ENCODER.iterencode(msgspec.json.decode(body)):
            written.append(part)
            size += len(part)
            if size > limit:
                break
    except (msgspec.MsgspecError, ValueError, RecursionError):  # what is in quarantine may have any form
        return body
    return "".join(written)
