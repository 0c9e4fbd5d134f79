"""Telephone numbers: E.164 where they can be, verbatim where they cannot."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.phones import _e164, number
from relay.cloudtalk.values import InvalidValue


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+34612345678", "+34612345678"),
        ("+34 612 34 56 78", "+34612345678"),
        ("612345678", "+34612345678"),
        (612345678, "+34612345678"),
        (34612345678, "+34612345678"),
        ("0034612345678", "+34612345678"),
        ("tel:+34612345678", "+34612345678"),
        (39351340000, "+39351340000"),
        ("+40312290000", "+40312290000"),
        ("+999", "+999"),
        ("anonymous", None),
        ("withheld", None),
        ("Unknown", None),
        ("ext 12", "ext 12"),
        ("TEL: 612345678", "+34612345678"),
        ("tel:", None),
        ({"number_e164": "+34612345678", "number": "1"}, "+34612345678"),
        ({"number_e164": None, "number": 612345678}, "+34612345678"),
        ({}, None),
        ("9" * 65, "9" * 65),
    ],
)
def test_numbers_are_e164_where_they_can_be(value: Any, expected: str | None) -> None:
    assert number(value, "ES") == expected


@given(st.from_regex(r"\+34[67][0-9]{8}", fullmatch=True))
def test_a_number_in_e164_is_left_alone(written: str) -> None:
    assert number(written, "ES") == written
    assert number(written, "FR") == written


@given(st.text(max_size=80))
def test_any_text_has_a_reading(written: str) -> None:
    found = number("x" + written, "ES")
    assert found is None or found


def test_what_is_too_long_for_a_number_is_not_remembered() -> None:
    before = _e164.cache_info().currsize
    assert number("1" * 1_000, "ES") == "1" * 1_000
    assert _e164.cache_info().currsize == before


@pytest.mark.parametrize("value", [True, [], ["+34612345678"], {"number": [1]}])
def test_what_is_no_number_is_unreadable(value: Any) -> None:
    with pytest.raises(InvalidValue):
        number(value, "ES")
