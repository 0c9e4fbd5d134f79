"""Spanish for texts that their module writes in English only: the findings of `check`, the reasons of the
quarantine, the answers of clients.

Clients, the parser and the settings write for logs, HTTP responses and the command line, which are English.
The catalogue in `relay.operations.spanish` has a Spanish template for each of their English ones; a test
reads the English ones from the source. A text is translated by the template that it was made from: `{}` is
any value. A text that no template matches, such as one of a plug-in or of a CRM, stays as it is.
"""

from functools import cache, lru_cache
from typing import Final

import msgspec

from relay.operations.languages import Text

_GAP: Final = "{}"
_DEEPEST: Final = 4
"""A value may be made from a template itself, and so may its values."""


class _Template(msgspec.Struct, frozen=True):
    """An English template, split at its gaps, and the Spanish one."""

    parts: tuple[str, ...]
    spanish: str

    def values_in(self, text: str) -> list[str] | None:
        """Return the values in the gaps; None if the text is not made from this template.

        Each part between two gaps is taken where it first occurs, so the time is linear in the text.
        """
        first, *middle = self.parts
        if not middle:
            return [] if text == first else None
        last = middle.pop()
        end = len(text) - len(last)
        if end < len(first) or not text.startswith(first) or not text.endswith(last):
            return None
        values, start = [], len(first)
        for part in middle:
            found = text.find(part, start, end)
            if found < 0:
                return None
            values.append(text[start:found])
            start = found + len(part)
        return [*values, text[start:end]]


@lru_cache(maxsize=256)  # a CRM answers the same to many calls
def translate(text: str) -> Text:
    """Return an English text of the relay in each language."""
    return Text(text, _to_spanish(text, _DEEPEST))


def _to_spanish(text: str, depth: int) -> str:
    for template in _templates() if depth else ():
        if (values := template.values_in(text)) is not None:
            return template.spanish.format(*(_to_spanish(value, depth - 1) for value in values))
    return text


@cache
def _templates() -> list[_Template]:
    """Return the templates, those with the most letters first: they say most about a text."""
    # Imported here: a relay whose CRMs answer well needs none of them.
    from relay.operations.spanish import CATALOGUE  # noqa: PLC0415

    templates = [_Template(tuple(english.split(_GAP)), spanish) for english, spanish in CATALOGUE.items()]
    return sorted(templates, key=lambda template: -sum(map(len, template.parts)))
