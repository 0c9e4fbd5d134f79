"""Columns that PostgreSQL does not name are named in the message of a dead delivery."""

import pytest

from crm_clients.supabase.errors import ApiError
from crm_clients.supabase.too_long import name_columns

ROW = b'{"id":"cloudtalk-1","notes":"a note of 24 characters!","tags":["vip"],"version":99999,"note":"ab"}'
LONG = "value too long for type character varying({})"
MESSAGES = [
    ("22001", LONG.format(20), f"{LONG.format(20)}: notes with 24 characters"),
    (
        "22001",
        LONG.format(6),
        f"{LONG.format(6)}: id with 11 characters, notes with 24 characters, tags with 7",
    ),
    ("22001", "value too long for type character(23)", "notes with 24 characters"),
    ("22001", "value too long for type bit varying(23)", "notes with 24 characters"),
    ("22003", 'value "99999" is out of range for type smallint', "smallint: version"),
    ("22P02", 'invalid input syntax for type integer: "ab"', 'integer: "ab": note'),
    ("22P02", 'malformed array literal: "["vip"]"', ": tags"),
]


@pytest.mark.parametrize(("code", "message", "named"), MESSAGES)
def test_the_columns_with_such_a_value_are_named(code: str, message: str, named: str) -> None:
    named_error = name_columns(ApiError(400, code, message), ROW)
    assert named in (named_error.message or "")
    assert (named_error.code, named_error.status) == (code, 400)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("22001", LONG.format(200)),
        ("22003", "numeric field overflow"),
        ("22P02", 'invalid input syntax for type integer: "x"'),
        ("23514", 'new row violates check constraint "ab"'),
        ("22001", None),
        (None, None),
    ],
)
def test_other_messages_stay_as_they_are(code: str | None, message: str | None) -> None:
    error = ApiError(400, code, message)
    assert name_columns(error, ROW) == error
