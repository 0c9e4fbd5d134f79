"""Phone numbers: E.164 in whatever form they are written, and a fixed rule for texts without a number."""

from collections.abc import Iterator
from functools import cache
from random import Random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from relay.standards.phones import (
    digit_groups,
    find_phones,
    is_dialable,
    national_digits,
    normalize_phone,
    parse_e164,
    spellings,
)

REGIONS = ("ES", "DE", "AT", "IT", "US", "GB", "FR", "MX", "AR", "BR", "IN", "NO", "CN")


def example_numbers() -> Iterator[phonenumbers.PhoneNumber]:
    """One number of each type in each country, and of the services that belong to no country."""
    for type_ in phonenumbers.PhoneNumberType.values():
        for region in sorted(phonenumbers.SUPPORTED_REGIONS):
            if number := phonenumbers.example_number_for_type(region, type_):
                yield number
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        if number := phonenumbers.example_number_for_non_geo_entity(code):
            yield number


@cache
def examples() -> frozenset[str]:
    """The numbers in E.164."""
    return frozenset(phonenumbers.format_number(n, 0) for n in example_numbers())


@pytest.mark.parametrize("region", REGIONS)
def test_the_digits_of_an_international_number_are_that_number_in_each_region(region: str) -> None:
    assert len(examples()) > 900
    assert not [example for example in examples() if normalize_phone(example[1:], region) != example]


@pytest.mark.parametrize("region", REGIONS)
def test_a_number_with_the_zero_of_its_country_is_national(region: str) -> None:
    numbers = [n for n in example_numbers() if phonenumbers.region_code_for_number(n) == region]
    for number in numbers:
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        if national.startswith("0") and not national.startswith("00"):
            assert normalize_phone(national, region) == phonenumbers.format_number(number, 0)


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
        ("(+34) 612.345.678", "+34612345678"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("\u202a+34\u00a0612\u2011345\u2011678\u202c", "+34612345678"),
        ("+34612\u200b345\u2060678", "+34612345678"),
        ("\uff0b\uff13\uff14612345678", "+34612345678"),
        ("tel:+34-612-345-678;phone-context=+34", "+34612345678"),
        ("sip:34612345678@10.0.0.1;user=phone", "+34612345678"),
        ('"Ana" <sip:+34612345678@pbx.example.org>', "+34612345678"),
        ("whatsapp:+34612345678", "+34612345678"),
    ],
)
def test_each_spelling_of_a_number_becomes_e164(written: str, expected: str) -> None:
    assert normalize_phone(written, "ES") == expected


@given(st.from_regex(r"\+34[67][0-9]{8}", fullmatch=True))
def test_a_number_in_e164_stays_as_it_is(written: str) -> None:
    assert normalize_phone(written, "ES") == written
    assert normalize_phone(written, "FR") == written


@given(st.text())
def test_any_text_gives_numbers_in_e164_or_none(text: str) -> None:
    assert all(is_dialable(number) for number in find_phones(text, "ES"))


@pytest.mark.parametrize("written", ["ext 12", "101", "12345", "34 61 23", "+99912"])
def test_digits_that_are_no_number_stay_as_they_were_written(written: str) -> None:
    assert normalize_phone(written, "ES") == written
    assert find_phones(written, "ES") == ()


def test_a_text_with_a_number_has_at_most_200_characters() -> None:
    assert normalize_phone("9" * 200, "ES") == "9" * 200
    assert normalize_phone("9" * 201, "ES") is None
    assert find_phones("y" * 190 + " 600111222", "ES") == ("+34600111222",)
    assert find_phones("y" * 191 + " 600111222", "ES") == ()


def test_an_extension_has_at_least_two_digits() -> None:
    assert [normalize_phone(text, "ES") for text in ("12", "x 12", "5", "x 5")] == ["12", "x 12", None, None]


def test_an_extension_is_returned_without_invisible_characters() -> None:
    assert normalize_phone("\u200e1\u200b01\u00ad", "ES") == "101"
    assert normalize_phone(" 101 ", "ES") == normalize_phone("sip: 101 @10.0.0.1", "ES") == "101"


@pytest.mark.parametrize("written", ["+34012345678", "+34 012 345 678", "(+34) 012-345-678"])
@pytest.mark.parametrize("region", ["ES", "US"])
def test_a_number_with_a_plus_only_has_to_be_possible(written: str, region: str) -> None:
    assert find_phones(written, region) == ("+34012345678",)
    assert find_phones(written.replace("+34", ""), "ES") == ()
    assert find_phones(written.replace("+", ""), region) == ()


def test_a_number_has_at_most_ten_groups() -> None:
    assert find_phones("9 4 2 6 2 1 2 9 9 7 2 2 0 612345678", "US") == ("+19426212997",)


@pytest.mark.parametrize("written", ["+612345678", "+612 345 678", "(+612) 345-678"])
def test_a_number_with_a_plus_is_never_national(written: str) -> None:
    assert "+34612345678" not in find_phones(written, "ES")
    assert find_phones("612345678", "ES") == ("+34612345678",)


# --- nobody -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        *("Private number", "No Caller ID", "Número oculto", "Rufnummer unterdrückt", "Appel masqué"),
        *("anonymous", "UNKNOWN", "P", "N/A", "-", "?", "", " ", "未知"),
        *("anonymous@anonymous.invalid", "sip:anonymous@192.0.2.1:5060", "unknown@10.0.0.1", "tel:", "sip:"),
        *("0", "00", "+0", "0000000000", "000-000-0000", "+10000000000", "+34000000000", "-1"),
        *("+34", "+ 34", "+999", "*67", "*31#", "#31#", "**21"),
        *("00266696687", "00 266-696-687", "011266696687", "+00266696687", "sip:0011266696687@192.0.2.1"),
        *("007378742833", "0117748283", "008656696", "0086282452253", "00 256-2533", "0011 8656696"),
        *("+266696687", "266696687", "+7378742833", "7378742833", "+86282452253", "+8656696", "2562533"),
        *("94844353", "+94844353", "0094844353", "7748283"),
    ],
)
@pytest.mark.parametrize("region", ["ES", "US"])
def test_what_telephone_systems_send_for_nobody_is_no_number(written: str, region: str) -> None:
    assert normalize_phone(written, region) is None
    assert find_phones(written, region) == ()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+34612345678", True),
        ("+5255123456", False),
        ("101", False),
        ("+101", False),
        ("+266696687", False),
        ("+86282452253", False),
        ("+10000000000", False),
        ("+15550123", False),
        ("34612345678", False),
        ("+34 612 345 678", False),
        (None, False),
        ("", False),
    ],
)
def test_only_a_number_that_can_be_called_back_is_dialable(number: str | None, *, expected: bool) -> None:
    assert is_dialable(number) is expected


# --- letters and masks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        *("+917878787xyz", "+34600ANA222", "1-800-FLOWERS", "0800 REIFEN", "+1 888 GO FEDEX"),
        *("+4930123xxx", "+49 30 1234 ***", "+49 30 1234...", "+34 6•• ••• 222", "34600111222b"),
    ],
)
def test_letters_and_masks_are_no_digits(written: str) -> None:
    assert find_phones(written, "DE") == ()
    assert normalize_phone(written, "DE") in {written, None}


@given(st.from_regex(r"\+[1-9][0-9]{5,12}[a-z]{3,8}", fullmatch=True))
def test_a_word_after_digits_never_makes_a_number(written: str) -> None:
    assert find_phones(written, "US") == ()


# --- several numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("612 345 678 / 91 123 45 67 (office)", {"+34612345678", "+34911234567"}),
        ("600111444 / 600111555", {"+34600111444", "+34600111555"}),
        ("600111444/600111555", {"+34600111444", "+34600111555"}),
        ("600 111 444 600 111 555", {"+34600111444", "+34600111555"}),
        ("9 600 111 222", {"+34600111222"}),
        ("600111444, 600111555; +44 20 7946 0958", {"+34600111444", "+34600111555", "+442079460958"}),
        ("600-111-444 - 600-111-555", {"+34600111444", "+34600111555"}),
        ("+34600111444+34600111555", {"+34600111444", "+34600111555"}),
        ("600 111 333 Ana", {"+34600111333"}),
        ("Ana 600111444 o Luis 600111555", {"+34600111444", "+34600111555"}),
        ("móvil: 600111444 ext. 5", {"+34600111444"}),
        ("600111444x5", {"+34600111444"}),
        ("ext. 7", set()),
        ("none", set()),
        ("6" * 500, set()),
    ],
)
def test_every_number_of_a_text_is_found(text: str, expected: set[str]) -> None:
    assert set(find_phones(text, "ES")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0711 / 2345678", {"+497112345678"}),
        ("030/23456789", {"+493023456789"}),
        ("030 123456 / 0151 12345678", {"+4930123456", "+4915112345678"}),
    ],
)
def test_a_slash_may_separate_an_area_code(text: str, expected: set[str]) -> None:
    assert set(find_phones(text, "DE")) == expected


def test_each_digit_may_be_a_group_of_its_own() -> None:
    assert find_phones("3 4 6 0 0 1 1 1 2 2 2", "DE")[0] == "+34600111222"


def test_digits_with_two_meanings_give_both_and_the_international_one_first() -> None:
    assert find_phones("4915112345678", "DE")[0] == "+4915112345678"
    assert find_phones("34600111222", "DE") == ("+34600111222", "+4934600111222")


# --- Mexico -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["+52 1 55 1234 5678", "5215512345678", "+525512345678", "00521 55 12345678", "52 55 1234 5678"],
)
@pytest.mark.parametrize("region", ["MX", "ES", "US"])
def test_a_mexican_number_is_the_same_with_and_without_its_old_1(written: str, region: str) -> None:
    assert normalize_phone(written, region) == "+525512345678"


def test_other_systems_may_have_a_mexican_number_with_its_old_1() -> None:
    assert spellings("+525512345678") == ("+525512345678", "+5215512345678")
    assert spellings("+34612345678") == ("+34612345678",)
    assert spellings("+52551234567") == ("+52551234567",)
    assert spellings("+442079460958") == ("+442079460958",)


@pytest.mark.parametrize(
    ("spelling", "digits"),
    [("+34612345678", "612345678"), ("+5215512345678", "15512345678"), ("+999", "999")],
)
def test_national_digits_lack_the_country_code(spelling: str, digits: str) -> None:
    assert national_digits(spelling) == digits


@pytest.mark.parametrize(
    ("number", "groups"),
    [
        ("+34600111222", ("600", "11", "12", "22")),
        ("+16263133690", ("626", "313", "3690")),
        ("+390612345678", ("06", "1234", "5678")),
        ("+919876543210", ("98765", "43210")),
        ("+2905123", ("5123",)),
    ],
)
def test_digits_are_grouped_as_is_usual_in_the_country(number: str, groups: tuple[str, ...]) -> None:
    assert digit_groups(number) == groups


# --- numbers in E.164 --------------------------------------------------------------------------


def changed(random: Random, number: str) -> str:
    """The number with a digit more or less, or with what may be a national prefix after its country code."""
    at = random.randrange(1, len(number))
    match random.randrange(3):
        case 0:
            return number[:at] + number[at + 1 :]
        case 1:
            return number[:at] + str(random.randrange(10)) + number[at:]
        case _:
            after_code = random.randrange(2, 5)
            prefix = random.choice(("0", "00", "1", "8", "06", "9", "15", "44", "180020", "0343"))
            return number[:after_code] + prefix + number[after_code:]


def test_a_number_in_e164_is_parsed_as_the_library_parses_it() -> None:
    random = Random(1)
    examples = [phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in example_numbers()]
    numbers = examples + [changed(random, number) for number in examples for _ in range(3)]
    parsed = {number: result for number in numbers if (result := parse_e164(number)) is not None}
    assert parsed == {number: phonenumbers.parse(number) for number in parsed}
    assert len(parsed) > 2_000


@pytest.mark.parametrize(
    "text",
    [
        "34612345678",
        "+34 612345678",
        "+0612345678",
        "+99912345678",
        "+34\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "+490301234567",
        "+1",
    ],
)
def test_any_other_text_is_left_to_the_library(text: str) -> None:
    assert parse_e164(text) is None
