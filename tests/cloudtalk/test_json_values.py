"""JSON to values that can be stored."""

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk import json_values
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.json_values import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    ("raw", "status", "reason", "pointer"),
    [
        (b"hello", 400, "not_json", ""),
        (b'{"a":', 400, "not_json", ""),
        (b'{"a":NaN}', 400, "not_json", ""),
        (b'{"a":Infinity}', 400, "not_json", ""),
        (b'{"a":{"b":1e400}}', 422, "unstorable_number", "/a/b"),
        (b'{"a":[0,10000000000000000000]}', 422, "unstorable_number", "/a/1"),
        (b'{"a":[9223372036854775808]}', 422, "unstorable_number", "/a/0"),
        (b'{"a":-9223372036854775808}', 422, "unstorable_number", "/a"),
        (b'{"a":' + b"9" * 5000 + b"}", 400, "not_json", ""),
        (b'{"a/b\\u0000":{"~":1e400}}', 422, "unstorable_number", "/a~1b\ufffd/~0"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", 422, "too_deep", "/a" + "/0" * MAX_DEPTH),
        (b"[" * 200_000, 422, "too_deep", ""),
    ],
)
def test_json_that_cannot_be_stored_is_refused_with_its_pointer(
    raw: bytes, status: int, reason: str, pointer: str
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_json(raw)
    assert (caught.value.status, caught.value.reason, caught.value.pointer) == (status, reason, pointer)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a":9223372036854775807}', {"a": 9223372036854775807}),
        (b'{"a":-9223372036854775807}', {"a": -9223372036854775807}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\\\u0000"', "\\u0000"),
        (b"[]" + b" " * 10, []),
    ],
)
def test_json_that_can_be_stored_is_accepted(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"a text without any number, of many letters"}',
        b'{"a":123456789012345678}',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
    ],
)
def test_usual_json_is_searched_once(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(json_values, "make_storable", None)
    assert parse_json(raw) == json.loads(raw)


@pytest.mark.parametrize("text", ["one\ntwo", "a\tb", "line\r\nline", "\x1b[0m", "\x01\x7f", "Zoë\n漢字 🎉"])
def test_control_characters_in_a_text_are_accepted(text: str) -> None:
    assert parse_json(f'{{"a": "{text}", "b": [1]}}'.encode()) == {"a": text, "b": [1]}


@given(st.binary(max_size=200))
def test_no_bytes_raise_another_error(raw: bytes) -> None:
    with suppress(InvalidPayload):
        msgspec.json.encode(parse_json(raw))
