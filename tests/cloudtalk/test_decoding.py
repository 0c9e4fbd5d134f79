"""Decode the body of a request: compression, charsets, forms, queries."""

import gzip
import json
import zlib
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.decoding import BodyLimits, parse_body, to_utf8
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.request import RawRequest

BODY = b'{"a": "\xc3\xb1"}'
FORM = "application/x-www-form-urlencoded"


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
        RawRequest(b"a=%C3%B1", content_type=" Application/X-WWW-Form-Urlencoded ; charset=utf-8"),
        RawRequest(b"a=%C3%B1", content_type=" Text/Plain"),
        RawRequest(b" \n" + BODY, content_type="application/x-www-form-urlencoded"),
        RawRequest(b"", query="a=%C3%B1&token=t"),
        RawRequest(b" \n", query="TOKEN=t&a=ñ"),
        RawRequest(b"", query="+Token+=t&a=ñ"),
        RawRequest(BODY, query="a=other"),
        RawRequest(BODY.decode().encode("latin-1"), content_type="application/json; charset=ISO-8859-1"),
        RawRequest(BODY.decode().encode("latin-1"), content_type='application/json;charset="latin1"'),
        RawRequest(BODY.decode().encode("cp1252"), content_type="application/json; charset=Windows-1252"),
        RawRequest(BODY.decode().encode("iso8859-15"), content_type="text/plain; charset=iso-8859-15"),
        RawRequest(BODY.decode().encode("utf-16"), content_type="application/json; charset=utf-16"),
        RawRequest(BODY.decode().encode("utf-16-be"), content_type="application/json"),
        RawRequest(BODY.decode().encode("utf-16-le")),
        RawRequest(BODY.decode().encode("utf-32")),
        RawRequest(gzip.compress(BODY.decode().encode("utf-16")), encoding="gzip"),
        RawRequest(BODY, content_type="application/json; charset=ISO-8859-1"),
        RawRequest(BODY, content_type="application/json; charset=no-such-charset"),
        RawRequest(BODY, content_type="application/json; charset=iso-8859-99"),
        RawRequest(b"a=\xf1", content_type="application/x-www-form-urlencoded; charset=ISO-8859-1"),
        RawRequest(b"a=%F1", content_type="application/x-www-form-urlencoded; charset=ISO-8859-1"),
        RawRequest("a=ñ".encode("utf-16"), content_type="text/plain; charset=utf-16"),
    ],
)
def test_one_value_can_be_sent_in_many_forms(request_: RawRequest) -> None:
    assert parse_body(request_) == {"a": "ñ"}


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_an_array_may_be_declared_as_a_form(content_type: str) -> None:
    assert parse_body(RawRequest(b' ["a=b"]', content_type=content_type)) == ["a=b"]


@pytest.mark.parametrize(
    "query", ["", "token=t", "event=call.ended", "token=t&event=x", "+Event+=x", "%20TOKEN=t&+event=x"]
)
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
        (RawRequest(b"&".join(b"a=1" for _ in range(1_001))), 400, "not_json"),
        (RawRequest(b"a=" + b"%20" * 200_001), 422, "too_many_values"),
        (RawRequest(b"", query="&".join("a=1" for _ in range(1_001))), 400, "not_json"),
    ],
)
def test_an_invalid_body_is_refused(request_: RawRequest, status: int, reason: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_body(request_, BodyLimits(size=100))
    assert (caught.value.status, caught.value.reason) == (status, reason)


def test_a_decompressed_body_may_have_the_size_of_the_limit() -> None:
    assert parse_body(RawRequest(gzip.compress(b'"' + b"x" * 98 + b'"')), BodyLimits(size=100)) == "x" * 98


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 6 + b"[]]",
        b"[" + b"1," * 10 + b"1]",
        b"{" + b'"a":{},' * 6 + b'"b":1}',
        b'{"payload":"' + b"[" * 6 + b"]" * 6 + b',,,,,"}',
        b"[" * 60,
    ],
)
def test_a_body_with_too_many_values_is_not_decoded(raw: bytes) -> None:
    with pytest.raises(InvalidPayload, match="more than 10 values") as caught:
        parse_body(RawRequest(gzip.compress(raw)), BodyLimits(values=10))
    assert (caught.value.status, caught.value.reason) == (422, "too_many_values")


def test_the_usual_limits_are_a_megabyte_and_200_000_values() -> None:
    assert BodyLimits() == BodyLimits(size=1_048_576, values=200_000)
    assert parse_body(RawRequest(gzip.compress(b"x=" + b"y" * 1_048_574))) == {"x": "y" * 1_048_574}
    with pytest.raises(InvalidPayload, match="larger than 1048576 bytes"):
        parse_body(RawRequest(gzip.compress(b"x=" + b"y" * 1_048_575)))


def test_a_form_may_have_as_many_fields_and_escapes_as_the_limits() -> None:
    assert parse_body(RawRequest(b"a=" + b"%20" * 200_000)) == {"a": " " * 200_000}
    assert parse_body(RawRequest(b"&".join(b"a=1" for _ in range(1_000)))) == {"a": "1"}


def test_a_body_may_have_as_many_values_as_the_limit() -> None:
    assert parse_body(RawRequest(b"[1,2,3,4,5,6,7,8,9,10]"), BodyLimits(values=10)) == list(range(1, 11))
    assert parse_body(RawRequest(b"[" * 10 + b"]" * 10), BodyLimits(values=10)) is not None


@pytest.mark.parametrize(
    ("request_", "value"),
    [
        (RawRequest(b'{"a":"Ana \\ud83d"}'), {"a": "Ana \ufffd"}),
        (RawRequest(b'{"a":["\\ude00 Ana",{"b":"\\ud83dx"}]}'), {"a": ["\ufffd Ana", {"b": "\ufffdx"}]}),
        (RawRequest(b'{"a":"x\\u0000y"}'), {"a": "x\ufffdy"}),
        (RawRequest(b'{"a\\u0000":1}'), {"a\ufffd": 1}),
        (RawRequest(b'{"a":"x\\u0000\\ud83d\\ude00"}'), {"a": "x\ufffd😀"}),
        (RawRequest("Ana 😀".encode()[:-1].join([b'{"a":"', b'"}'])), {"a": "Ana \ufffd"}),
        (RawRequest(b'{"a":"Mar\xeda"}'), {"a": "Mar\ufffda"}),
        (RawRequest(b'{"a":"x\x00y","b\x00":1}'), {"a": "x\ufffdy", "b\ufffd": 1}),
        (RawRequest(b"a=Ana+%F0%9F%98", content_type=FORM), {"a": "Ana \ufffd"}),
        (RawRequest(b"a=Ana%00", content_type=FORM), {"a": "Ana\ufffd"}),
        (RawRequest(b"a=Mar\xeda", content_type=FORM), {"a": "Mar\ufffda"}),
        (RawRequest(b"", query="a=%FF%00"), {"a": "\ufffd\ufffd"}),
    ],
)
def test_what_is_no_character_is_replaced(request_: RawRequest, value: object) -> None:
    assert parse_body(request_) == value


@given(
    st.text(st.characters(exclude_characters="\x00"), max_size=20),
    st.sampled_from(["utf-16", "utf-32", "utf-8"]),
)
def test_a_text_is_the_same_in_each_unicode_charset(text: str, charset: str) -> None:
    body = json.dumps({"a": text}, ensure_ascii=False)
    assert parse_body(RawRequest(body.encode(charset, "replace"))) == {
        "a": text.encode(errors="replace").decode()
    }


@given(
    st.binary(max_size=200), st.sampled_from(["", "; charset=latin1", "; charset=gb18030", "; charset=cp037"])
)
def test_no_bytes_in_any_charset_raise_another_error(raw: bytes, charset: str) -> None:
    with suppress(InvalidPayload):
        msgspec.json.encode(parse_body(RawRequest(raw, content_type="text/plain" + charset)))


def test_latin_1_has_the_characters_that_browsers_give_it() -> None:
    request = RawRequest(b'{"a": "\x80"}', content_type="application/json; charset=ISO-8859-1")
    assert parse_body(request) == {"a": "€"}


def test_an_uncompressed_body_may_be_declared_as_one() -> None:
    assert parse_body(RawRequest(BODY, encoding=" Identity ")) == {"a": "ñ"}


def test_an_empty_value_of_a_form_is_kept() -> None:
    assert parse_body(RawRequest(b"a=&b=1")) == {"a": "", "b": "1"}
    assert parse_body(RawRequest(b"a=&b=%F1", content_type=FORM + "; charset=latin1")) == {"a": "", "b": "ñ"}


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"caf\xe9", "", None),
        (b"caf\xe9", "utf-8", None),
        (b"caf\xe9", "iso-8859-99", None),
        (b"caf\xe9", "latin1", "café".encode()),
        ("café".encode(), "latin1", None),
        (b"c\0a\0f\0", "", b"caf"),
        (b"", "", None),
    ],
)
def test_only_a_text_in_another_charset_is_converted(raw: bytes, charset: str, text: bytes | None) -> None:
    content_type = f"text/plain; charset={charset}"
    assert to_utf8(raw, content_type) == (raw if text is None else text)
    assert (to_utf8(raw, content_type) is raw) is (text is None)
