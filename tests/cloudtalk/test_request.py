"""Decode the body of a request: compression, forms, queries, JSON."""

import gzip
import zlib
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.request import MAX_DEPTH, RawRequest, RequestHead, parse_body, parse_json

BODY = b'{"a": "\xc3\xb1"}'


@pytest.mark.parametrize(
    "request_",
    [
        RawRequest(BODY),
        RawRequest(BODY, content_type="application/x-www-form-urlencoded"),
        RawRequest(b"\xef\xbb\xbf" + BODY),
        RawRequest(gzip.compress(BODY), encoding="gzip"),
        RawRequest(gzip.compress(BODY), encoding=" GZIP "),
        RawRequest(gzip.compress(BODY)),
        RawRequest(gzip.compress(b"\xef\xbb\xbf" + BODY)),
        RawRequest(zlib.compress(BODY), encoding="deflate"),
        RawRequest(b"a=%C3%B1", content_type="application/x-www-form-urlencoded;charset=utf-8"),
        RawRequest(b"a=\xc3\xb1\n", content_type="text/plain"),
        RawRequest(b"a=x&a=%C3%B1"),
        RawRequest(b"", query="a=%C3%B1&token=t"),
        RawRequest(b" \n", query="TOKEN=t&a=ñ"),
        RawRequest(BODY, query="a=other"),
    ],
)
def test_one_value_can_be_sent_in_many_forms(request_: RawRequest) -> None:
    assert parse_body(request_) == {"a": "ñ"}


@pytest.mark.parametrize("query", ["", "token=t", "event=call.ended", "token=t&event=x"])
def test_a_request_may_be_empty(query: str) -> None:
    assert parse_body(RawRequest(b"", query=query)) is None


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (RawRequest(gzip.compress(b" " * 200), encoding="gzip"), 413, "oversize"),
        (RawRequest(gzip.compress(BODY)[:-3], encoding="gzip"), 400, "encoding"),
        (RawRequest(BODY, encoding="gzip"), 400, "encoding"),
        (RawRequest(BODY, encoding="br"), 415, "encoding"),
        (RawRequest(b"hello", content_type="application/json"), 400, "not_json"),
        (RawRequest(b"a=1", content_type="application/json"), 400, "not_json"),
        (RawRequest(b"hello"), 400, "not_json"),
        (RawRequest(b"hello", content_type="application/x-www-form-urlencoded"), 400, "not_json"),
        (RawRequest(b"a=%FF", content_type="application/x-www-form-urlencoded"), 400, "not_json"),
        (RawRequest(b"a=\xff"), 400, "not_json"),
        (RawRequest(b"&".join(b"a=1" for _ in range(1_001))), 400, "not_json"),
        (RawRequest(b"a=%00"), 422, "unstorable_text"),
        (RawRequest(b"", query="a=%FF"), 400, "not_json"),
        (RawRequest(b"", query="a=%00"), 422, "unstorable_text"),
    ],
)
def test_an_invalid_body_is_refused(request_: RawRequest, status: int, reason: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_body(request_, max_bytes=100)
    assert (caught.value.status, caught.value.reason) == (status, reason)


def test_a_decompressed_body_may_have_the_size_of_the_limit() -> None:
    assert parse_body(RawRequest(gzip.compress(b'"' + b"x" * 98 + b'"')), max_bytes=100) == "x" * 98


# --- JSON ---------------------------------------------------------------------------------------


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
        (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\\\u0000"', "\\u0000"),
        (b"[]" + b" " * 10, []),
    ],
)
def test_json_that_can_be_stored_is_accepted(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value


@given(st.binary(max_size=200))
def test_no_bytes_raise_another_error(raw: bytes) -> None:
    with suppress(InvalidPayload):
        msgspec.json.encode(parse_json(raw))


# --- the head -----------------------------------------------------------------------------------


def test_a_request_takes_its_encoding_and_message_id_from_the_headers() -> None:
    headers = {"content-type": "text/plain", "content-encoding": "gzip", "webhook-id": "m"}
    head = RequestHead(headers, "a=1", None, "PUT", "/cloudtalk/webhook")
    assert head.with_body(b"x") == RawRequest(b"x", "text/plain", "/cloudtalk/webhook", "a=1", "gzip", "m")
