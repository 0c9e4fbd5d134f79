"""Texts for people in each language of the relay."""

from enum import StrEnum
from typing import Any

import msgspec


class Language(StrEnum):
    """A language that people read the relay in."""

    EN = "en"
    ES = "es"


class Text(msgspec.Struct, frozen=True):
    """One text in each language, with the fields of `str.format`."""

    en: str
    es: str

    def fill(self, **fields: Any) -> "Text":
        """Fill in the fields. A field that is a `Text` itself is used in the same language."""
        return Text(*(self._filled(language, fields) for language in Language))

    def _filled(self, language: Language, fields: dict[str, Any]) -> str:
        # `format` does not read the values as templates: a CRM's message may have braces.
        return self.read(language).format(
            **{name: v.read(language) if isinstance(v, Text) else v for name, v in fields.items()}
        )

    def read(self, language: Language) -> str:
        """Return the text in this language."""
        return self.es if language is Language.ES else self.en
