"""Phone numbers: E.164 if they are valid, and a fixed rule for each text that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.standards.phones import (
    find_phones,
    is_e164,
    national_digits,
    normalize_phone,
    normalize_typed_phone,
    phone_key,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("+34612345678", "+34612345678"),
        ("+34 612 34 56 78", "+34612345678"),
        ("612345678", "+34612345678"),
        ("34612345678", "+34612345678"),
        ("0034612345678", "+34612345678"),
        ("39351340000", "+39351340000"),
        ("+40312290000", "+40312290000"),
        ("+999", "+999"),
        ("ext 12", "ext 12"),
    ],
)
def test_a_valid_number_becomes_e164_and_other_text_stays(written: str, expected: str) -> None:
    assert normalize_phone(written, "ES") == expected


@given(st.from_regex(r"\+34[67][0-9]{8}", fullmatch=True))
def test_a_number_in_e164_stays_as_it_is(written: str) -> None:
    assert normalize_phone(written, "ES") == written
    assert normalize_phone(written, "FR") == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("612 34 56 78", "+34612345678"),
        ("34612345678", "+34612345678"),
        ("44 20 7946 0958", "+442079460958"),
        ("12345", "+3412345"),
        ("none", None),
        ("", None),
    ],
)
def test_a_typed_number_may_lack_its_plus(written: str, expected: str | None) -> None:
    assert normalize_typed_phone(written, "ES") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("612 345 678 / 91 123 45 67 (office)", {"+34612345678", "+34911234567"}),
        ("ext. 7", {"7"}),
        ("none", set()),
    ],
)
def test_every_number_of_a_text_is_found(text: str, expected: set[str]) -> None:
    assert find_phones(text, "ES") == expected


def test_the_key_of_a_text_that_is_no_number_is_its_digits() -> None:
    assert phone_key("612345678", "ES") == "+34612345678"
    assert phone_key("n. 7", "ES") == "7"


@pytest.mark.parametrize(("number", "expected"), [("+34612345678", True), ("101", False), (None, False)])
def test_an_extension_or_a_withheld_number_is_not_e164(number: str | None, *, expected: bool) -> None:
    assert is_e164(number) is expected


def test_national_digits_lack_the_country_code() -> None:
    assert national_digits("+34612345678") == "612345678"
    assert national_digits("+999") == "999"
