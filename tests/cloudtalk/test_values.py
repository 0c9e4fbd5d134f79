"""What a field means: the quirks seen in real deliveries, and no crash on anything else."""

from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk import times, values
from relay.cloudtalk.values import InvalidValue, TooLong, UnrenderedTemplate
from relay.standards.phones import normalize_phone

MADRID = ZoneInfo("Europe/Madrid")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("nothing", [None, "", "  ", "null", "undefined", "None", "[object Object]", "NaN"])
def test_sentinels_say_nothing(nothing: Any) -> None:
    assert values.text(nothing) is None
    assert values.ident(nothing) is None
    assert values.digits(nothing) is None
    assert values.prose(nothing) is None
    assert values.lines(nothing) is None
    assert values.listed(nothing) is None
    assert values.web_address(nothing) is None
    assert values.truth(nothing) is None
    assert values.is_nothing(nothing)
    assert values.phone(nothing, "ES") is None
    assert times.instant(nothing, MADRID) is None
    assert times.duration(nothing) is None
    assert values.direction(nothing) is None
    assert values.outcome(nothing) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abc-1", "abc-1"),
        (123, "123"),
        (123.0, "123"),
        (1.002402487e9, "1002402487"),
        (" 7 ", "7"),
        ("x" * 200, "x" * 200),
    ],
)
def test_ids_are_text_verbatim(value: Any, expected: str) -> None:
    assert values.ident(value) == expected


@pytest.mark.parametrize("value", ["x" * 201, True, [], {}])
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.ident(value)


@pytest.mark.parametrize("value", ["{{ contact.name }}", "{{x}}", " {{a}} {{b}} "])
def test_an_unrendered_variable_is_told_from_what_cannot_be_read(value: str) -> None:
    with pytest.raises(UnrenderedTemplate):
        values.text(value)


def test_an_id_that_is_too_long_is_told_from_what_cannot_be_read() -> None:
    with pytest.raises(TooLong):
        values.ident("x" * 201)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (123, "123"),
        ("123", "123"),
        (123.0, "123"),
        ("123.0", "123"),
        ("1.002402487e9", "1002402487"),
        ("1.002402487E+9", "1002402487"),
        ("007", "007"),
        ("1e5", "1e5"),
        ("12e4f", "12e4f"),
        ("1.5", "1.5"),
        ("1.0e99", "1.0e99"),
        ("٣.٣", "٣.٣"),
    ],
)
def test_an_id_that_was_made_a_float_is_the_number_that_it_was(value: Any, expected: str) -> None:
    assert values.digits(value) == expected


@given(st.integers(0, 2**53 - 1))
def test_a_number_is_the_same_id_in_each_of_its_forms(number: int) -> None:
    assert (
        values.digits(number) == values.digits(float(number)) == values.digits(f"{number}.0") == str(number)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Flor &amp; Hijos", "Flor & Hijos"),
        ("O&#39;Hara &#x27;", "O'Hara '"),
        ("AT&T", "AT&T"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("&nosuch;", "&nosuch;"),
        ("&#0;", "\ufffd"),
        ("&#99999999999;", "&#99999999999;"),
        (5, "5"),
    ],
)
def test_escaped_text_is_shown_as_it_was_meant(value: Any, expected: str) -> None:
    assert values.prose(value) == expected


@given(st.text())
def test_no_text_becomes_what_a_database_cannot_hold(text: str) -> None:
    with suppress(InvalidValue):
        assert "\x00" in text or "\x00" not in (values.prose(text) or "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a, b ,a", ["a", "b"]),
        (["a", " b "], ["a", "b"]),
        ([{"id": 1, "name": "a, b"}, {"label": "c"}], ["a, b", "c"]),
        ([None, "null", {"id": 1}], None),
        ([], None),
        (",", None),
        (7, ["7"]),
    ],
)
def test_tags_are_a_list_however_they_come(value: Any, expected: list[str] | None) -> None:
    assert values.listed(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("one", "one"),
        ([{"id": 1, "note": "one"}, {"note": None}, "two"], "one\ntwo"),
        ({"text": "one"}, "one"),
        ([], None),
        ({}, None),
    ],
)
def test_notes_are_lines_however_they_come(value: Any, expected: str | None) -> None:
    assert values.lines(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("612345678", "+34612345678"),
        (612345678, "+34612345678"),
        ("tel:+34612345678", "+34612345678"),
        (39351340000, "+39351340000"),
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
def test_a_phone_number_is_e164_if_it_is_valid(value: Any, expected: str | None) -> None:
    assert values.phone(value, "ES") == expected


@given(st.text(max_size=80))
def test_any_text_is_accepted_as_a_phone_number(written: str) -> None:
    phone = values.phone("x" + written, "ES")
    assert phone is None or phone


def test_a_text_too_long_for_a_phone_number_is_not_cached() -> None:
    before = normalize_phone.cache_info().currsize
    assert values.phone("1" * 1_000, "ES") == "1" * 1_000
    assert normalize_phone.cache_info().currsize == before


@pytest.mark.parametrize("value", [True, [], ["+34612345678"], {"number": [1]}])
def test_a_value_that_is_no_text_is_an_invalid_phone_number(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.phone(value, "ES")


def test_a_link_is_one_that_a_person_may_follow() -> None:
    assert values.web_address(" HTTPS://x.test/a ") == "HTTPS://x.test/a"
    assert values.web_address(False) is None
    with pytest.raises(InvalidValue):
        values.web_address("javascript:alert(1)")


def test_yes_is_said_in_several_ways_and_no_is_not_said() -> None:
    assert [values.truth(yes) for yes in (True, "true", "TRUE", 1, "1", "yes")] == [True] * 6
    assert [values.truth(no) for no in (False, None, "false", 0, "0", "no", "")] == [None] * 7
    with pytest.raises(InvalidValue):
        values.truth("perhaps")


def test_words_are_read_in_any_spelling() -> None:
    assert values.direction("Incoming") == values.direction("INBOUND") == "inbound"
    assert values.outcome("No Answer") == values.outcome("no-answer") == values.outcome("busy") == "missed"
    assert values.outcome("completed") == "answered"


def test_an_unknown_direction_is_refused_and_an_unknown_outcome_says_nothing() -> None:
    with pytest.raises(InvalidValue):
        values.direction("sideways")
    assert values.outcome("transferred") is None


@given(_json)
def test_no_value_breaks_a_reader(value: Any) -> None:
    for read in (
        values.text,
        values.ident,
        values.digits,
        values.prose,
        values.lines,
        values.listed,
        values.web_address,
        values.truth,
        times.duration,
        values.direction,
        values.outcome,
        lambda v: times.instant(v, MADRID),
        lambda v: values.phone(v, "ES"),
    ):
        with suppress(InvalidValue):
            read(value)
