"""Finding one phone number in any text or body, in whatever way it is written there."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from relay.standards.phones import national_digits, spellings

_SEPARATOR: Final = r"[\s()\[\].·/\\\u2010-\u2015\u2212-]{0,3}"
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_FEWEST_DIGITS: Final = 7
"""A shorter number is found with its country code only: it may be a part of an id or of a time."""

_TRUNK_PREFIXES: Final = {"7": "8", "36": "06", "52": "(?:01|04[45])", "370": "[08]"}
"""What is dialled before a number inside its country, by country code; 0 elsewhere."""


class PhoneMention:
    """Finds a number in E.164: with "+" or 00, national with or without a leading 0, with any separators."""

    def __init__(self, number: str) -> None:
        self._pattern = re.compile("|".join(map(_pattern, spellings(number))))

    def is_in(self, body: str | bytes) -> bool:
        """Whether a text or a body has the number. A body may be JSON, a form, or a URL."""
        text = body if isinstance(body, str) else body.decode(errors="replace")
        return any(map(self._pattern.search, _readings(text)))


def _pattern(number: str) -> str:
    national = national_digits(number)
    code = number.removeprefix("+").removesuffix(national)
    whole = rf"(?:00|011)?{_SEPARATOR}{_digits(code)}{_SEPARATOR}(?:\(?0\)?{_SEPARATOR})?"
    optional = "?" if len(national) >= _FEWEST_DIGITS else ""
    trunk = _TRUNK_PREFIXES.get(code, "0")
    return rf"(?<!\d)(?:{whole}|{trunk}{_SEPARATOR}){optional}{_digits(national)}(?!\d)"


def _digits(digits: str) -> str:
    return _SEPARATOR.join(digits)


def _readings(text: str) -> Iterator[str]:
    """Yield the text as it is, and without the escapes of URLs and JSON."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    yield plain
    if "%" in plain or "+" in plain:
        yield unquote_plus(plain)
    if "\\u" in plain:
        yield unicodedata.normalize("NFKC", _ESCAPE.sub(lambda found: chr(int(found[1], 16)), plain))
