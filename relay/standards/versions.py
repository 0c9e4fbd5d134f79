"""Versions of calls, as a CRM's row states them."""

from typing import Any, Final

from relay.standards.numbers import parse_digits

MAX_VERSION: Final = 2**53 - 2**32 - 1
"""The highest version after which another epoch fits below 2**53, see `relay.ledger.epochs`."""


def parse_version(value: Any) -> int:
    """Return the version in a cell; 0, as for an empty cell, if the relay cannot have given it.

    A person or another program wrote it. A spreadsheet makes a text or a float of a whole number.
    """
    if isinstance(value, str):
        value = parse_digits(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_VERSION else 0
