"""Words of names for a search that ignores accents, case, punctuation and the order of the words."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 40
"""In characters: a longer word is compared by its beginning."""

_APOSTROPHES: Final = re.compile("['`´ʹʼ‘’＇]")  # noqa: RUF001 - O'Neill is one word
_WORD: Final = re.compile(r"[^\W_]+")
_WITHOUT_ACCENT: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h"}
)
"""Letters that Unicode does not decompose into a letter and an accent."""


@lru_cache(maxsize=10_000)  # the agents are always the same, and each event of a call repeats its contact
def fold_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, each once: letters and digits in lower case, without accents.

    The result of each word is the word itself.
    """
    words = _WORD.findall(_fold(_APOSTROPHES.sub("", text)))
    return tuple(dict.fromkeys(word[:MAX_LENGTH] for word in words))


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    without_marks = "".join(c for c in decomposed if not unicodedata.category(c).startswith("M"))
    return without_marks.translate(_WITHOUT_ACCENT)
