"""The search terms of calls, and those of a search."""

import msgspec
import pytest

from relay.call import Leg, Status
from relay.ledger.search_terms import (
    TermKind,
    from_text,
    has_same_terms,
    is_number,
    name_beginnings,
    number_beginnings,
    terms_of,
    text_beginnings,
    to_text,
)
from tests.support.samples import make_call


def test_a_call_has_the_words_of_its_names_and_its_numbers_from_both_ends() -> None:
    call = make_call(
        contact_name="Ana García",
        external_number="+34600112233",
        internal_number="+34910",
        direction="inbound",
    )
    assert terms_of(call) == ["cana", "cgarcia", "n34600112233", "n34910", "r01943", "r33221100643"]


def test_each_agent_of_a_leg_has_terms() -> None:
    leg = Leg("7", "Luis Pérez", "Luis.P@Acme.es", None, None, None, Status.COMPLETED)
    call = msgspec.structs.replace(make_call(), legs=[leg], agent_id="8", agent_name="Eva")
    assert terms_of(call) == ["a7", "a8", "aeva", "aluis", "aluis.p@acme.es", "ap", "aperez"]


def test_a_merged_call_has_no_terms() -> None:
    call = msgspec.structs.replace(make_call(contact_name="Ana"), merged_into="cloudtalk-2")
    assert terms_of(call) == []


def test_a_call_without_names_and_numbers_has_no_terms() -> None:
    assert terms_of(make_call(contact_name="…", external_number="anonymous", internal_number="1")) == []


ANSWERED = Leg("8", "Eva", None, None, None, 5, Status.COMPLETED)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"version": 2, "status": Status.MISSED, "duration_seconds": 7, "notes": "n"}, True),
        ({"legs": [ANSWERED]}, True),
        ({"legs": [msgspec.structs.replace(ANSWERED, agent_id="7", agent_name="Luis")]}, False),
        ({"contact_name": "Ana"}, False),
        ({"agent_id": "9"}, False),
        ({"agent_name": "Luis"}, False),
        ({"agent_email": "eva@acme.es"}, False),
        ({"external_number": "+34600112233"}, False),
        ({"internal_number": "+34910"}, False),
        ({"merged_into": "cloudtalk-2"}, False),
    ],
)
def test_only_a_name_a_number_and_a_merge_change_the_terms(
    changes: dict[str, object], *, expected: bool
) -> None:
    before = msgspec.structs.replace(make_call(contact_name="Zoe"), agent_id="8", agent_name="Eva")
    after = msgspec.structs.replace(before, **changes)
    assert has_same_terms(before, after) is expected
    assert (terms_of(before) == terms_of(after)) is expected


def test_no_text_makes_terms_that_cannot_be_read_again() -> None:
    hostile = "a\nb\0c \x1c\u2028d@e\nf"
    call = msgspec.structs.replace(make_call(contact_name=hostile), agent_email=hostile, agent_id=hostile)
    terms = terms_of(call)
    assert from_text(to_text(terms)) == terms
    assert from_text(to_text([])) == []


def test_a_name_has_at_most_its_first_twelve_words() -> None:
    words = [f"w{n:02}" for n in range(14)]
    assert terms_of(make_call(contact_name=" ".join(words))) == [f"cw{n:02}" for n in range(12)]
    for field in ("agent_name", "agent_id"):
        call = msgspec.structs.replace(make_call(), **{field: " ".join(words)})
        assert terms_of(call) == [f"aw{n:02}" for n in range(12)]
    call = msgspec.structs.replace(make_call(), agent_email=f"{'.'.join(words)}@acme.es")
    assert terms_of(call) == [
        "aw00",
        "aw00.w01.w02.w03.w04.w05.w06.w07.w08.w09.w10.w11.w12.w13@acme.es",
        *(f"aw{n:02}" for n in range(1, 12)),
    ]


def test_an_email_has_at_most_eighty_characters_and_a_number_twenty_digits() -> None:
    call = msgspec.structs.replace(make_call(), agent_email=" …@ " + "STRASSE" * 12)
    assert terms_of(call) == ["a…@" + ("strasse" * 12)[:78]]
    digits = "123456789012345678901"
    assert terms_of(make_call(external_number=digits)) == ["n12345678901234567890", "r09876543210987654321"]
    assert terms_of(make_call(internal_number="10")) == ["n10", "r01"]


@pytest.mark.parametrize(
    ("written", "beginnings"),
    [
        ("+34 600 11 22 33", ("n34600112233",)),
        ("0034600112233", ("n34600112233",)),
        ("600112233", ("n34600112233", "n600112233", "r332211006")),
        ("+34 600", ("n34600",)),
        ("+34 (0)600", ("n34600",)),
        ("0034 600", ("n34600",)),
        ("2233", ("n2233", "n342233", "r3322")),
        ("0233", ("n0233", "n340233", "n34233", "r3320")),
        ("233", ("n233", "n34233")),
        ("33", ("n33", "n3433")),
        ("+34 (00)600", ("n34600",)),
        ("(0)2233", ("n02233", "n3402233", "n342233", "r3322")),
        ("0034", ("n34",)),
        ("003", ()),
        (
            "1234567890123456789012",
            ("n12345678901234567890", "n34123456789012345678", "r21098765432109876543"),
        ),
        ("٢٢٣٣", ("n2233", "n342233", "r3322")),
        ("3", ()),
        ("+", ()),
        ("ana", ()),
    ],
)
def test_a_number_is_looked_for_by_its_beginning_or_its_end(
    written: str, beginnings: tuple[str, ...]
) -> None:
    assert number_beginnings(written, "ES") == beginnings


def test_without_a_region_digits_have_no_country_code() -> None:
    assert number_beginnings("600112233", "ZZ") == ("n600112233", "r332211006")


def test_a_name_is_looked_for_by_each_of_its_words() -> None:
    assert name_beginnings("ana GAR", TermKind.CONTACT) == [("cana",), ("cgar",)]
    assert name_beginnings("a@b.c", TermKind.CONTACT) == [("ca",), ("cb",), ("cc",)]
    assert name_beginnings("Ana.G@acme eva", TermKind.AGENT) == [("aana.g@acme",), ("aeva",)]
    assert name_beginnings("…", TermKind.AGENT) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2233", True),
        ("+34 (91) [0] 2·2/3-3.", True),
        ("22\u201333", True),
        ("22\u221233", True),
        ("٢٢٣٣", True),
        ("233", False),
        ("2233 ana", False),
        ("X2233", False),
        ("2233x", False),
        ("+", False),
        ("", False),
    ],
)
def test_a_text_of_four_digits_and_punctuation_is_a_number(text: str, *, expected: bool) -> None:
    assert is_number(text) is expected


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("ana gar", [("cana", "aana"), ("cgar", "agar")]),
        ("calle 5", [("ccalle", "acalle"), ("c5", "a5")]),
        ("+34 600-112", [("n34600112", "c34600112", "a34600112")]),
        ("101", [("n101", "n34101", "c101", "a101")]),
        ("7", [("c7", "a7")]),
        ("…", []),
    ],
)
def test_a_text_is_a_number_or_words(text: str, conditions: list[tuple[str, ...]]) -> None:
    assert text_beginnings(text, "ES") == conditions
