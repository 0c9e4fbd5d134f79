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
        ("pay\u200bpal\u00ad\ufeff", "pay\\u200bpal\\xad\\ufeff"),
        ("\u2060\u2061\u2064\u206a\u206f\u180e", "\\u2060\\u2061\\u2064\\u206a\\u206f\\u180e"),
        ("\u115f\u1160\u3164\uffa0\u2800", "\\u115f\\u1160\\u3164\\uffa0\\u2800"),
        ("\u034f\u17b4\u17b5\ufff0\ufff9\ufffb", "\\u034f\\u17b4\\u17b5\\ufff0\\ufff9\\ufffb"),
        ("\U000e0001\U000e0041\U000e007f\U000e0fff", "\\U000e0001\\U000e0041\\U000e007f\\U000e0fff"),
        ("\U0001bca0\U0001d173", "\\U0001bca0\\U0001d173"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0dc1\u0dca\u200d\u0dbb\u0dd3", None),
        ("\u2764\ufe0f\U0001f469\u200d\U0001f4bb \u845b\U000e0100 \u1820\u180b", None),
        ("\uff71 \ufffd \u0600 \u2801 \u1100\u1161", None),
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
