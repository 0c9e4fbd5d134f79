"""Escapes of characters that a terminal executes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.standards.unprintable import escape_unprintable


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Ana Pe\u00f1a \u6f22\u5b57 \U0001f44d\U0001f3fd", None),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),
        ("a\x00\x07\x7f", "a\\x00\\x07\\x7f"),
        ("\u202a\u202b\u202c\u202d\u202e", "\\u202a\\u202b\\u202c\\u202d\\u202e"),
        ("\u2066\u2067\u2068\u2069\u200e\u200f", "\\u2066\\u2067\\u2068\\u2069\\u200e\\u200f"),
        ("\ud800", "\\ud800"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
    ],
)
def test_unprintable_characters_are_escaped_and_others_stay(text: str, escaped: str | None) -> None:
    assert escape_unprintable(text) == (text if escaped is None else escaped)


def test_characters_to_keep_stay() -> None:
    assert escape_unprintable("a\nb\tc", keep="\n") == "a\nb\\tc"


@given(st.text(st.characters(max_codepoint=0x20FF)))
def test_no_control_character_remains(text: str) -> None:
    escaped = escape_unprintable(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in escaped)
    assert "\u202e" not in escaped
