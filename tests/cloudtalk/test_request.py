"""From a request to a value: packing, forms, queries."""

import gzip
import zlib
from typing import Any

import pytest

from relay.cloudtalk.errors import Refused
from relay.cloudtalk.request import Received, parse_body

BODY = b'{"a": "\xc3\xb1"}'


@pytest.mark.parametrize(
    "received",
    [
        Received(BODY),
        Received(BODY, content_type="application/x-www-form-urlencoded"),
        Received(b"\xef\xbb\xbf" + BODY),
        Received(gzip.compress(BODY), encoding="gzip"),
        Received(gzip.compress(BODY), encoding=" GZIP "),
        Received(gzip.compress(BODY)),
        Received(gzip.compress(b"\xef\xbb\xbf" + BODY)),
        Received(zlib.compress(BODY), encoding="deflate"),
        Received(b"a=%C3%B1", content_type="application/x-www-form-urlencoded;charset=utf-8"),
        Received(b"a=\xc3\xb1\n", content_type="text/plain"),
        Received(b"a=x&a=%C3%B1"),
        Received(b"", query="a=%C3%B1&token=t"),
        Received(b" \n", query="TOKEN=t&a=ñ"),
        Received(BODY, query="a=other"),
    ],
)
def test_one_value_is_borne_in_many_ways(received: Received) -> None:
    assert parse_body(received) == {"a": "ñ"}


@pytest.mark.parametrize("query", ["", "token=t", "event=call.ended", "token=t&event=x"])
def test_a_request_may_bear_nothing(query: str) -> None:
    assert parse_body(Received(b"", query=query)) is None


@pytest.mark.parametrize(
    ("received", "status", "reason"),
    [
        (Received(gzip.compress(b" " * 200), encoding="gzip"), 413, "oversize"),
        (Received(gzip.compress(BODY)[:-3], encoding="gzip"), 400, "encoding"),
        (Received(BODY, encoding="gzip"), 400, "encoding"),
        (Received(BODY, encoding="br"), 415, "encoding"),
        (Received(b"hello", content_type="application/json"), 400, "not_json"),
        (Received(b"a=1", content_type="application/json"), 400, "not_json"),
        (Received(b"hello"), 400, "not_json"),
        (Received(b"hello", content_type="application/x-www-form-urlencoded"), 400, "not_json"),
        (Received(b"a=%FF", content_type="application/x-www-form-urlencoded"), 400, "not_json"),
        (Received(b"a=\xff"), 400, "not_json"),
        (Received(b"&".join(b"a=1" for _ in range(1_001))), 400, "not_json"),
        (Received(b"a=%00"), 422, "unstorable_text"),
        (Received(b"", query="a=%FF"), 400, "not_json"),
        (Received(b"", query="a=%00"), 422, "unstorable_text"),
    ],
)
def test_what_cannot_be_parsed_is_refused(received: Received, status: int, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_body(received, max_bytes=100)
    assert (caught.value.status, caught.value.reason, caught.value.lenient) == (status, reason, False)


@pytest.mark.parametrize(
    "more",
    [
        {"message_id": "m"},
        {"path": "/cloudtalk/webhook/flow"},
        {"path": "/cloudtalk/webhook/flow/call.ended"},
    ],
)
def test_a_signed_message_and_a_call_flow_do_not_hear_of_it(more: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        parse_body(Received(b"{", **more))
    assert caught.value.lenient


def test_a_body_may_unpack_to_just_the_bound() -> None:
    assert parse_body(Received(gzip.compress(b'"' + b"x" * 98 + b'"')), max_bytes=100) == "x" * 98
