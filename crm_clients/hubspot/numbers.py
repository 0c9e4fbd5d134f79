"""Telephone numbers as HubSpot keeps them, and as the relay does (E.164)."""

import re
from typing import Any, Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

_E164: Final = re.compile(r"\+\d{7,15}")


def is_dialable(number: str | None) -> bool:
    """Whether a contact can have it: an extension or a withheld number is nobody's."""
    return bool(number and _E164.fullmatch(number))


def national(number: str) -> str:
    """An E.164 number without its country code, digits alone, as HubSpot makes it searchable."""
    try:
        return phonenumbers.national_significant_number(phonenumbers.parse(number))
    except NumberParseException:
        return number.lstrip("+")


def canonical(written: Any, region: str) -> str | None:
    """A number that people typed into a contact, in E.164; one without country code is of `region`."""
    if not isinstance(written, str) or not written.strip():
        return None
    try:
        parsed = phonenumbers.parse(written, region)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        parsed = _with_country_code(written) or parsed
    return str(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))


def _with_country_code(written: str) -> PhoneNumber | None:
    """A number of another country that somebody typed without its "+"."""
    try:
        parsed = phonenumbers.parse("+" + re.sub(r"\D", "", written))
    except NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None
