"""From a request to a value: packing, forms, queries."""

import gzip
import zlib
from typing import Any

import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.request import RawRequest, parse_body

BODY = b'{"a": "\xc3\xb1"}'


@pytest.mark.parametrize(
    "received",
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
def test_one_value_is_borne_in_many_ways(received: RawRequest) -> None:
    assert parse_body(received) == {"a": "ñ"}


@pytest.mark.parametrize("query", ["", "token=t", "event=call.ended", "token=t&event=x"])
def test_a_request_may_bear_nothing(query: str) -> None:
    assert parse_body(RawRequest(b"", query=query)) is None


@pytest.mark.parametrize(
    ("received", "status", "reason"),
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
def test_what_cannot_be_parsed_is_refused(received: RawRequest, status: int, reason: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_body(received, max_bytes=100)
    assert (caught.value.status, caught.value.reason, caught.value.always_ack) == (status, reason, False)


@pytest.mark.parametrize(
    "more",
    [
        {"message_id": "m"},
        {"path": "/cloudtalk/webhook/flow"},
        {"path": "/cloudtalk/webhook/flow/call.ended"},
    ],
)
def test_a_signed_message_and_a_call_flow_do_not_hear_of_it(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_body(RawRequest(b"{", **more))
    assert caught.value.always_ack


def test_a_body_may_unpack_to_just_the_bound() -> None:
    assert parse_body(RawRequest(gzip.compress(b'"' + b"x" * 98 + b'"')), max_bytes=100) == "x" * 98
