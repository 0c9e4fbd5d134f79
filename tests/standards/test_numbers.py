"""Whole numbers in headers of any length and script."""

import pytest

from relay.standards.numbers import parse_digits


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("0042", 42), ("9223372036854775807", 2**63 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert parse_digits(text) == number


@pytest.mark.parametrize("text", ["", " 1", "-1", "+1", "1.0", "1_0", "٣", "²", "1" * 20, "9" * 5_000])
def test_any_other_text_is_no_number(text: str) -> None:
    assert parse_digits(text) is None
