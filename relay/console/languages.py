"""The language of a page: the one that a person chose, else the browser's first one that the console has."""

from collections.abc import Iterator
from typing import Final

from relay.console.texts import ENGLISH, TEXTS, Texts

_MOST_RANGES: Final = 20


def choose_language(chosen: str | None, accept_language: str) -> Texts:
    """Return the texts of the language `chosen`, else those for an Accept-Language header (RFC 9110)."""
    if chosen in TEXTS:
        return TEXTS[chosen]
    ranges = sorted(_ranges(accept_language), key=lambda each: -each[1])
    return next((TEXTS[code] for code, quality in ranges if quality > 0 and code in TEXTS), ENGLISH)


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    """Yield the languages of the header without their countries, each with its quality from 0 to 1."""
    for part in header.split(",")[:_MOST_RANGES]:
        name, _, parameter = part.strip().lower().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        yield name.strip().partition("-")[0], quality
