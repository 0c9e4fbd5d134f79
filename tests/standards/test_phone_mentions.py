import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.standards.phone_mentions import PhoneMention

SPANISH = PhoneMention("+34612345678")


@pytest.mark.parametrize(
    "text",
    [
        "+34612345678",
        "34612345678",
        "0034612345678",
        "01134612345678",
        "612345678",
        "612 345 678",
        "612-34-56-78",
        "+34 612 34 56 78",
        "(+34) 612.345.678",
        "+34 (0) 612 345 678",
        "tel:+34-612-345-678",
        "sip:+34612345678@example.org",
        '{"external_number":34612345678}',
        '{"external_number":"+34612345678","x":1}',
        '{"n":"\\u002b34\\u00a0612\\u00a0345\\u00a0678"}',
        "external_number=%2B34612345678&call_id=1",
        "external_number=%2B34+612+345+678",
        "external_number=612%20345%20678",
        "llámame al 612345678.",
        "\uff0b\uff13\uff14\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
        "cliente 612\u2011345\u2011678",
    ],
)
def test_each_spelling_is_found(text: str) -> None:
    assert SPANISH.is_in(text)
    assert SPANISH.is_in(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "+34612345679",
        "+346123456789",
        "1612345678",
        "6123456781",
        "+34 612 345",
        "612a345b678",
        "",
        "61234 ... 5678",
    ],
)
def test_another_number_is_not_found(text: str) -> None:
    assert not SPANISH.is_in(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("+442079460958", "020 7946 0958"),
        ("+442079460958", "+44 (0)20 7946 0958"),
        ("+4930901820", "030/901820"),
        ("+390612345678", "06 1234 5678"),
        ("+12025550123", "(202) 555-0123"),
        ("+12025550123", "1-202-555-0123"),
        ("+525512345678", "+52 1 55 1234 5678"),
        ("+525512345678", "55 1234 5678"),
        ("+79161234567", "8 (916) 123-45-67"),
    ],
)
def test_national_spellings_of_other_countries_are_found(number: str, text: str) -> None:
    assert PhoneMention(number).is_in(text)


@given(
    st.lists(st.sampled_from(["", " ", "-", ".", "/", " - ", ") "]), min_size=8, max_size=8),
    st.sampled_from(["", "+34", "0034", "+34 ", "34-", "(+34) "]),
)
def test_separators_between_any_digits_hide_no_number(separators: list[str], prefix: str) -> None:
    written = (
        "".join(digit + separator for digit, separator in zip("61234567", separators, strict=True)) + "8"
    )

    assert re.sub(r"\D", "", written) == "612345678"
    assert SPANISH.is_in(f'"note":"{prefix}{written}"')
