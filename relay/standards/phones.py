"""Phone numbers in E.164: the one place that reads numbers, for events, settings and CRMs.

`region` is the ISO 3166 code of the country that a number without country code belongs to.

Digits without "+" and without a leading 0 are read as international first, because CloudTalk sends its
numbers as integers; where that gives no valid number, they are national. Letters are never digits.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
)

_NO_REGION: Final = "ZZ"
_LONGEST_TEXT: Final = 200
"""In characters; a longer text has no phone number."""

_FEWEST_DIGITS: Final = 2
"""An extension has as many digits, or more."""

_MOST_GROUPS: Final = 10
"""A number is written in at most so many groups of digits."""

_URI: Final = re.compile(r"^[a-z]+:|@\S+", re.IGNORECASE)
"""The scheme and the host of `sip:+34600111222@example.org`."""

_RUN: Final = re.compile(r"(\+?\(?\+?\d(?:[\d\s()\[\].·/\\\u2010-\u2015\u2212-]*\d)?)([^\W_]*)")
"""Digits and punctuation, and letters that touch the last digit."""

_EXTENSION: Final = re.compile(r"(?:x|ext|extn|int)\d*", re.IGNORECASE)
_NO_DIGITS: Final = re.compile(r"[^0-9]+")
_MASK: Final = re.compile(r"[*•…]|\.{2,}|x{2,}", re.IGNORECASE)
"""Some digits were removed from the text."""

_BETWEEN_NUMBERS: Final = re.compile(r"[/\\]|\s[\u2010-\u2015\u2212-]\s")
"""Separates two numbers, or two groups of one number."""

_BETWEEN_GROUPS: Final = re.compile(r"[^\d+()]+")
_ZEROS: Final = re.compile(r"\d{0,3}0{6,}|0+")
"""A country code at most, and zeros."""

_CODE: Final = re.compile(r"\+\s*\d{1,4}|[*#]+\d{1,3}[*#]*", re.ASCII)
"""A country code without a number, or a service code such as `*67`."""

_E164: Final = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_KEYPAD: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_WITHHELD: Final = frozenset(
    word.translate(_KEYPAD)
    for word in ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld")
)
"""Digits that telephone systems send for a withheld number: they spell a word on a telephone's keypad."""

_INTERNATIONAL_PREFIX: Final = re.compile("0011|011|00")
"""What is dialled before a country code; it may also be written before a withheld number."""

_MEXICO: Final = "+52"
_MEXICAN_MOBILE: Final = re.compile(r"\+521(?=\d{10}$)")
"""Until 2019 mobile numbers of Mexico had a 1 before their ten digits. Many systems still write it."""


def normalize_phone(written: str, region: str) -> str | None:
    """Return the first number of a text in E.164, or None if the text names nobody.

    A text names nobody if it is too long, contains no digits but those that telephone systems send for a
    withheld number, or is a country code or a service code (`+34`, `*67`). Any other text, such as an
    extension, is returned without the parts of a URI.
    """
    numbers = find_phones(written, region)
    if numbers:
        return numbers[0]
    text = _clean(written)
    digits = _digits(text) if len(text) <= _LONGEST_TEXT else ""
    if len(digits) < _FEWEST_DIGITS or _is_withheld(digits):
        return None
    return None if _ZEROS.fullmatch(digits) or _CODE.fullmatch(text) else text


def find_phones(text: str, region: str) -> tuple[str, ...]:
    """Return the numbers that a text may contain, in E.164, the most probable one first.

    A text may contain several numbers, and digits without "+" may have two meanings. A number with "+" only
    has to be possible, since new ranges are valid before the library knows them.
    """
    return _find_phones(text, region) if len(text) <= _LONGEST_TEXT else ()


@lru_cache(maxsize=10_000)
def _find_phones(text: str, region: str) -> tuple[str, ...]:
    cleaned = _clean(text)
    if _MASK.search(cleaned) or _is_withheld(_digits(cleaned)):
        return ()
    return tuple(dict.fromkeys(number for run in _runs(cleaned) for number in _read_run(run, region)))


def _is_withheld(digits: str) -> bool:
    if digits in _WITHHELD:
        return True
    prefix = _INTERNATIONAL_PREFIX.match(digits)
    return prefix is not None and digits[prefix.end() :] in _WITHHELD


def is_dialable(number: str | None) -> bool:
    """Whether this is a number in E.164 that can be called back: no extension, and not withheld."""
    return number is not None and find_phones(number, _NO_REGION) == (number,)


def spellings(number: str) -> tuple[str, ...]:
    """Return the forms in which other systems have an E.164 number: itself, and Mexico's with the old 1."""
    is_mexican = number.startswith(_MEXICO) and len(number) == len(_MEXICO) + 10
    return (number, number.replace(_MEXICO, _MEXICO + "1")) if is_mexican else (number,)


def national_digits(spelling: str) -> str:
    """Return a number with "+" without its country code, digits only."""
    try:
        return phonenumbers.national_significant_number(phonenumbers.parse(spelling, None))
    except NumberParseException:
        return spelling.removeprefix("+")


def digit_groups(number: str) -> tuple[str, ...]:
    """Return the digits of an E.164 number without its country code, in the groups usual in its country."""
    parsed = phonenumbers.parse(number, None)
    written = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
    return tuple(re.findall(r"\d+", written)[1:])


def _clean(text: str) -> str:
    """Remove the parts of a URI, and invisible characters, which copied numbers often have."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return _URI.sub("", text).strip()


def _runs(text: str) -> Iterator[str]:
    """Yield the parts of a text that consist of digits and punctuation; letters at the end make no number."""
    for run, suffix in _RUN.findall(text):
        if not suffix or _EXTENSION.fullmatch(suffix):
            yield run


def _read_run(run: str, region: str) -> list[str]:
    """Return the valid numbers in digits and punctuation; otherwise the run as a possible number."""
    parts = _BETWEEN_NUMBERS.split(run)
    by_part = [_read(part, region) for part in parts] if len(parts) > 1 else []
    if by_part and all(by_part):
        return [number for numbers in by_part for number in numbers]
    return (
        _read(run, region)
        or list(_read_groups(_BETWEEN_GROUPS.split(run), region))
        or ([_format(number)] if (number := _parse_possible(run)) else [])
    )


def _read_groups(groups: list[str], region: str) -> Iterator[str]:
    """Yield the numbers in groups of digits: the first and longest ones that are valid."""
    start = 0
    while start < len(groups):
        for end in range(min(len(groups), start + _MOST_GROUPS), start, -1):
            if numbers := _read(" ".join(groups[start:end]), region):
                yield from numbers
                start = end
                break
        else:
            start += 1


def _read(written: str, region: str) -> list[str]:
    """Return the valid numbers that these digits may mean, the most probable one first."""
    numbers = [_parse(*reading) for reading in _readings(written, region)]
    return [_format(n) for n in numbers if n is not None and phonenumbers.is_valid_number(n)]


def _readings(written: str, region: str) -> list[tuple[str, str | None]]:
    digits = _digits(written)
    international, national = ("+" + digits, None), (digits, region)
    if "+" in written:
        return [international]
    if digits.startswith("00"):
        return [("+" + digits[2:], None), national]
    return [national] if digits.startswith("0") else [international, national]


def _parse(written: str, region: str | None) -> PhoneNumber | None:
    written = _MEXICAN_MOBILE.sub(_MEXICO, written)
    try:
        return parse_e164(written) or phonenumbers.parse(written, region)
    except NumberParseException:
        return None


def parse_e164(written: str) -> PhoneNumber | None:
    """Return what `phonenumbers.parse` returns for a number in E.164, at a fifth of its cost.

    The library's parser searches a number in any text. None for any other text, and for digits that may begin
    with a national prefix, which the parser removes.
    """
    if not _E164.fullmatch(written):
        return None
    codes = (int(written[1:end]) for end in (2, 3, 4))
    code = next((code for code in codes if code in COUNTRY_CODE_TO_REGION_CODE), None)
    if code is None:
        return None
    national = written[1 + len(str(code)) :]
    prefix = _national_prefix(code)
    if national.startswith("0") or (prefix is not None and prefix.match(national)):
        return None
    return PhoneNumber(country_code=code, national_number=int(national))


@cache
def _national_prefix(country_code: int) -> re.Pattern[str] | None:
    region = phonenumbers.region_code_for_country_code(country_code)
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    pattern = metadata and metadata.national_prefix_for_parsing
    return re.compile(pattern) if pattern else None


def _parse_possible(run: str) -> PhoneNumber | None:
    """Parse a number with "+" that only has to be possible; a local number lacks its area code."""
    digits = _digits(run)
    number = None if "+" not in run or _ZEROS.fullmatch(digits) else _parse("+" + digits, None)
    reason = None if number is None else phonenumbers.is_possible_number_with_reason(number)
    return number if reason == ValidationResult.IS_POSSIBLE else None


def _digits(text: str) -> str:
    """Return the digits of a text in any script as ASCII digits."""
    return _NO_DIGITS.sub("", text) if text.isascii() else phonenumbers.normalize_digits_only(text)


def _format(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
