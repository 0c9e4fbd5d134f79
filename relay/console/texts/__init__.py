"""The texts of the pages in each language, by page. A missing text is an error of the type checker."""

from typing import Final

from relay.console.texts.catalog import ENGLISH, SPANISH, Texts

TEXTS: Final = {texts.code: texts for texts in (ENGLISH, SPANISH)}
"""The texts by the code of their language."""

__all__ = ["ENGLISH", "SPANISH", "TEXTS", "Texts"]
