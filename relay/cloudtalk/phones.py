"""Telephone numbers, as E.164 where they can be."""

from functools import lru_cache
from typing import Any, Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from relay.cloudtalk.values import InvalidValue, text

_WITHHELD: Final = frozenset(
    {"anonymous", "withheld", "unknown", "private", "restricted", "unavailable", "blocked"}
)
_LONGEST: Final = 64
"""Characters; what is longer is no number, whatever its digits."""


def number(value: Any, region: str) -> str | None:
    """A telephone number as E.164 where it can be, else as it was written; None where it is withheld.

    An object holds it under `number_e164` or `number`.
    """
    if isinstance(value, dict):
        if value and not {"number_e164", "number"} & value.keys():
            raise InvalidValue("expected a telephone number")
        value = value.get("number_e164") or value.get("number")
    written = text(value)
    if written is None or written.lower() in _WITHHELD:
        return None
    if len(written) > _LONGEST:
        return written
    if written[:4].lower() == "tel:":
        written = written[4:].strip()
    return _e164(written, region) if written else None


@lru_cache(maxsize=10_000)
def _e164(written: str, region: str) -> str:
    for candidate, home in _candidates(written, region):
        try:
            parsed = phonenumbers.parse(candidate, home)
        except NumberParseException:
            continue
        # With a "+" the writer vouches for it; without, only a valid number tells the region.
        fits = phonenumbers.is_possible_number if written.startswith("+") else phonenumbers.is_valid_number
        if fits(parsed):
            return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return written


def _candidates(written: str, region: str) -> list[tuple[str, str | None]]:
    """The readings of a number, in the order in which they are believed: national, then international."""
    if written.startswith("+"):
        return [(written, None)]
    if written.startswith("00"):
        return [("+" + written[2:], None), (written, region)]
    return [(written, region), ("+" + written, None)]
