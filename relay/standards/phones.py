"""Phone numbers in E.164.

`region` is the ISO 3166 code of the country that a number without country code belongs to.
"""

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import Leniency, NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberMatcher

_E164: Final = re.compile(r"\+\d{7,15}")


@lru_cache(maxsize=10_000)
def normalize_phone(written: str, region: str) -> str:
    """Return a number sent by a program in E.164; a number that is not valid is returned unchanged.

    A number with "+" only has to be possible, since new ranges are valid before the library knows them.
    Without "+", the national form is tried first, then the international one.
    """
    for candidate, home in _candidates(written, region):
        number = _parse(candidate, home)
        if number is not None and _is_accepted(number, international=written.startswith("+")):
            return _format(number)
    return written


def normalize_typed_phone(written: str, region: str) -> str | None:
    """Return a number that a person typed in E.164, or None if it is no number.

    A number that is not valid in `region` is tried as one that was typed without its "+".
    """
    number = _parse(written, region)
    if number is None:
        return None
    if not phonenumbers.is_valid_number(number):
        international = _parse("+" + re.sub(r"\D", "", written), None)
        if international is not None and phonenumbers.is_valid_number(international):
            number = international
    return _format(number)


def find_phones(text: str, region: str) -> set[str]:
    """Return the phone numbers inside a text, in E.164.

    If none is recognised, the whole text counts as one number, in the form of `phone_key`.
    """
    matches = PhoneNumberMatcher(" ".join(text.split()), region, Leniency.POSSIBLE)
    return {_format(match.number) for match in matches} or {phone_key(text, region)} - {""}


def phone_key(written: str, region: str) -> str:
    """Return a key for comparing numbers: E.164 if the text can be parsed, else its digits."""
    number = _parse(written, region)
    return "".join(filter(str.isdigit, written)) if number is None else _format(number)


def is_e164(number: str | None) -> bool:
    """Whether this is a whole number in E.164, not an extension, and not withheld."""
    return bool(number and _E164.fullmatch(number))


def national_digits(number: str) -> str:
    """Return an E.164 number without its country code, digits only."""
    parsed = _parse(number, None)
    return number.lstrip("+") if parsed is None else phonenumbers.national_significant_number(parsed)


def _candidates(written: str, region: str) -> list[tuple[str, str | None]]:
    """The possible interpretations of a number, the most probable one first."""
    if written.startswith("+"):
        return [(written, None)]
    if written.startswith("00"):
        return [("+" + written[2:], None), (written, region)]
    return [(written, region), ("+" + written, None)]


def _is_accepted(number: PhoneNumber, *, international: bool) -> bool:
    return phonenumbers.is_possible_number(number) if international else phonenumbers.is_valid_number(number)


def _parse(written: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(written, region)
    except NumberParseException:
        return None


def _format(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
