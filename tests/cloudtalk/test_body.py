"""From bytes to JSON: what cannot be kept is refused, with the place."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.body import DEEPEST, parse
from relay.cloudtalk.errors import InvalidPayload


@pytest.mark.parametrize(
    ("raw", "status", "reason", "pointer"),
    [
        (b"hello", 400, "not_json", ""),
        (b'{"a":', 400, "not_json", ""),
        (b'{"a":NaN}', 400, "not_json", ""),
        (b'{"a":Infinity}', 400, "not_json", ""),
        (b'{"a":"\xff"}', 400, "not_json", ""),
        (b'{"a":{"b":1e400}}', 422, "unstorable_number", "/a/b"),
        (b'{"a":[0,10000000000000000000]}', 422, "unstorable_number", "/a/1"),
        (b'{"a":' + b"9" * 5000 + b"}", 400, "not_json", ""),
        (b'{"a":"\\ud800"}', 422, "unstorable_text", "/a"),
        (b'{"a/b":{"~":"x\\u0000"}}', 422, "unstorable_text", "/a~1b/~0"),
        (b'{"\\u0000":1}', 422, "unstorable_text", ""),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", 422, "too_deep", "/a" + "/0" * DEEPEST),
        (b"[" * 200_000, 422, "too_deep", ""),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(
    raw: bytes, status: int, reason: str, pointer: str
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse(raw)
    assert (caught.value.status, caught.value.reason, caught.value.pointer) == (status, reason, pointer)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\\\u0000"', "\\u0000"),
        (b"[]" + b" " * 10, []),
    ],
)
def test_what_can_be_kept_is_taken(raw: bytes, value: object) -> None:
    assert parse(raw) == value


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    with suppress(InvalidPayload):
        msgspec.json.encode(parse(raw))
