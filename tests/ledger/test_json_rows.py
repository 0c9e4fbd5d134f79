"""The database reads bound rows as they were bound."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text, literal, select

from relay.ledger import Ledger
from relay.ledger.json_rows import ByteLength, ContainsText, TextInBlob, bound, rows_of, without_nul

_bound = rows_of(Column("word", Text), Column("big", BigInteger), Column("small", Integer))

# Ingest rejects text with lone surrogates, which no ledger can store; U+0000 becomes U+FFFD.
_words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_rows = st.lists(
    st.tuples(
        st.none() | _words, st.none() | st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)
    ),
    max_size=20,
)


async def read_back(ledger: Ledger, rows: list[Any]) -> list[Any]:
    return await ledger.read(lambda c: [tuple(row) for row in c.execute(select(_bound), bound(rows))])


@given(rows=_rows)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_rows_are_read_as_they_were_bound(ledger: Ledger, rows: list[Any]) -> None:
    assert await read_back(ledger, rows) == rows


async def test_no_rows_are_an_empty_table(ledger: Ledger) -> None:
    assert await read_back(ledger, []) == []


async def test_text_that_looks_like_json_is_read_as_text(ledger: Ledger) -> None:
    words = ['{"a":1}', "[1]", "null", "1", "1.0", "true", '"x"', ""]
    assert await read_back(ledger, [(word, 1, 1) for word in words]) == [(word, 1, 1) for word in words]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\0b\0", "a\ufffdb\ufffd"),
        ("\\\0", "\\\ufffd"),
        (r"\u0000", r"\u0000"),
        (r"\\u0000", r"\\u0000"),
        ("a", "a"),
    ],
)
async def test_a_nul_becomes_a_replacement_character(ledger: Ledger, text: str, stored: str) -> None:
    assert msgspec.json.decode(without_nul(msgspec.json.encode([text]))) == [stored]
    assert await read_back(ledger, [(text, 1, 1)]) == [(stored, 1, 1)]


@pytest.mark.parametrize(
    ("place", "length", "text"), [(1, 1, "a"), (2, 2, "ñ"), (4, 3, "漢"), (1, 6, "añ漢"), (7, 0, "")]
)
async def test_a_text_is_read_from_a_blob_by_its_bytes(
    ledger: Ledger, place: int, length: int, text: str
) -> None:
    blob = literal("añ漢".encode(), LargeBinary)
    found = select(TextInBlob(blob, literal(place), literal(length)))
    assert await ledger.read(lambda c: c.execute(found).scalar()) == text


@pytest.mark.parametrize(("part", "is_in"), [("b_c", True), ("B_C", False), ("b%", False), ("bxc", False)])
async def test_a_text_contains_another_one_as_it_is(ledger: Ledger, part: str, *, is_in: bool) -> None:
    found = select(ContainsText(literal("ab_cd", Text), literal(part, Text)))
    assert bool(await ledger.read(lambda c: c.execute(found).scalar())) is is_in


async def test_a_thousand_rows_are_one_statement(ledger: Ledger) -> None:
    rows = [(f"row {n}", n, -n) for n in range(1_000)]
    assert await read_back(ledger, rows) == rows


@pytest.mark.parametrize(("text", "length"), [("", 0), ("a\\b'", 4), ("ñ", 2), ("漢字", 6), ("😀x", 5)])
async def test_the_length_of_a_text_is_counted_in_bytes(ledger: Ledger, text: str, length: int) -> None:
    assert await ledger.read(lambda c: c.execute(select(ByteLength(literal(text, Text)))).scalar()) == length
