"""Whole numbers in headers and answers of others."""

from typing import Final

_MOST_DIGITS: Final = 19
"""As many as a number of 64 bits has. Python raises an error for a text with more than 4 300 digits."""


def parse_digits(text: str) -> int | None:
    """Return the whole number that a text of ASCII digits states; None for any other or a longer text."""
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit() else None
