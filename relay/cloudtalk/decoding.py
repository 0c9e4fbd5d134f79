"""Decode the body of a request to a value: decompress it, then read it as JSON, a form or a query."""

import codecs
import json
import re
import zlib
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from relay.cloudtalk.body_secrets import TOKEN_QUERY_KEY
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.json_values import make_text_storable, parse_json
from relay.cloudtalk.request import RawRequest

_MAX_FORM_FIELDS: Final = 1_000
_MAX_FORM_ESCAPES: Final = 200_000
"""More of them would stop the event loop for more than 50 ms, also from another thread."""

_BOM: Final = b"\xef\xbb\xbf"
_UTF_8: Final = "utf-8"
_CHARSET: Final = re.compile(
    r"charset\s*=\s*[\"']?((?:iso[-_]?8859[-_]|latin-?|windows-|cp-?)\d{1,4}|koi8-[ru]|macintosh|shift_jis|big5|gbk"
    r"|gb2312|gb18030|euc-(?:jp|kr))\b",
    re.IGNORECASE,
)
"""The declaration of a charset in which each character has one or two bytes."""

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_UNCOMPRESSED: Final = frozenset({"", "identity"})
_NO_FIELDS: Final = frozenset({TOKEN_QUERY_KEY, "event"})
"""Keys of a query that are no fields of a call."""


class BodyLimits(msgspec.Struct, frozen=True):
    """The limits of a body: its size in bytes, as sent and decompressed, and the number of its values."""

    size: int = 1_048_576
    values: int = 200_000


DEFAULT_LIMITS: Final = BodyLimits()


def parse_body(request: RawRequest, limits: BodyLimits = DEFAULT_LIMITS) -> Any:
    """Return the JSON value of the body, or of the query if the body is empty; None if both are empty.

    Raises `InvalidPayload`: 400 for what is neither JSON nor a form, 413 for a body that is too large, 415
    for an unknown encoding, 422 for too many values and for a value that cannot be stored.
    """
    return parse_text(read_text(request, limits.size), request, limits)


def read_text(request: RawRequest, max_bytes: int) -> bytes:
    """Return the body decompressed and in UTF-8: the same object as `raw` if that is so already.

    Raises `InvalidPayload`.
    """
    return to_utf8(_decompress(request, max_bytes), request.content_type)


def parse_text(text: bytes, request: RawRequest, limits: BodyLimits) -> Any:
    """Return the JSON value of a body that `read_text` returned. Raises `InvalidPayload`."""
    text = text.removeprefix(_BOM)
    if not text or text.isspace():
        return _parse_query(request.query)
    if _is_form(text, request.content_type):
        return _parse_form(text, _declared_charset(request.content_type))
    _check_values(text, limits.values)
    return parse_json(text)


def _check_values(raw: bytes, limit: int) -> None:
    """Raises `InvalidPayload`.

    A comma or a bracket comes before each value but the first. Those inside texts count, too: a text may be
    JSON, which is parsed later.
    """
    if len(raw) > limit and sum(map(raw.count, (b",", b"[", b"{"))) > limit:
        raise InvalidPayload("too_many_values", f"more than {limit} values in one body")


# --- compression --------------------------------------------------------------------------------


def _decompress(request: RawRequest, max_bytes: int) -> bytes:
    if request.is_compressed:
        return _inflate(request.raw, max_bytes)
    encoding = request.encoding.strip().lower()
    if encoding not in _UNCOMPRESSED:
        raise InvalidPayload("encoding", f"{encoding} is none of gzip, deflate, identity", status=415)
    return request.raw


def _inflate(raw: bytes, max_bytes: int) -> bytes:
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        inflated = decompressor.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise InvalidPayload("encoding", f"the body cannot be decompressed: {error}", status=400) from error
    if len(inflated) > max_bytes:
        message = f"the decompressed body is larger than {max_bytes} bytes"
        raise InvalidPayload("oversize", message, status=413)
    if not decompressor.eof:
        raise InvalidPayload("encoding", "the compressed body is incomplete", status=400)
    return inflated


# --- charsets -----------------------------------------------------------------------------------


def to_utf8(raw: bytes, content_type: str) -> bytes:
    """Return a text in UTF-8, whatever its charset."""
    charset = _charset(raw, content_type)
    return raw if charset == _UTF_8 else raw.decode(charset, "replace").encode()


def _charset(raw: bytes, content_type: str) -> str:
    """UTF-16 and UTF-32 by their bytes, another one if it is declared.

    Valid UTF-8 is UTF-8 whatever is declared, since some senders do not use the charset that they declare.
    """
    detected = json.detect_encoding(raw)
    if not detected.startswith(_UTF_8):
        return detected
    declared = _declared_charset(content_type)
    return _UTF_8 if declared == _UTF_8 or _is_valid_utf8(raw) else declared


def _declared_charset(content_type: str) -> str:
    declared = _CHARSET.search(content_type)
    try:
        charset = codecs.lookup(declared[1]).name if declared else _UTF_8
    except LookupError:
        return _UTF_8
    return "cp1252" if charset == "iso8859-1" else charset  # as in browsers: it has more characters


def _is_valid_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- forms and queries --------------------------------------------------------------------------


def _is_form(raw: bytes, content_type: str) -> bool:
    """`curl -d` declares JSON as a form, and some senders declare a form as text or not at all."""
    if raw.lstrip()[:1] in {b"{", b"["}:
        return False
    declared = content_type.partition(";")[0].strip().lower()
    if declared.endswith("/x-www-form-urlencoded"):
        return True
    return (not declared or declared.startswith("text/")) and b"=" in raw


def _parse_form(raw: bytes, charset: str) -> dict[str, str]:
    if raw.count(b"%") > _MAX_FORM_ESCAPES:
        raise InvalidPayload("too_many_values", f"more than {_MAX_FORM_ESCAPES} escapes in one form")
    try:
        pairs = _split_pairs(raw.strip().decode(errors="replace"), charset)
    except ValueError as error:
        message = f"the body is neither JSON nor a form: {error}"
        raise InvalidPayload("not_json", message, status=400) from error
    if b"=" not in raw:
        raise InvalidPayload("not_json", "the body is neither JSON nor a form", status=400)
    return _make_storable(dict(pairs))


def _parse_query(query: str) -> dict[str, str] | None:
    try:
        fields = {key: value for key, value in _split_pairs(query) if key.strip().lower() != TOKEN_QUERY_KEY}
    except ValueError as error:
        raise InvalidPayload("not_json", f"the query cannot be parsed: {error}", status=400) from error
    if _NO_FIELDS.issuperset(key.strip().lower() for key in fields):
        return None
    return _make_storable(fields)


def _split_pairs(text: str, charset: str = _UTF_8) -> list[tuple[str, str]]:
    """Split a form; its escapes are UTF-8 or in this charset. Raises `ValueError` for too many fields."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError:
        return parse_qsl(text, keep_blank_values=True, encoding=charset)


def _make_storable(fields: dict[str, str]) -> dict[str, str]:
    return {make_text_storable(key): make_text_storable(value) for key, value in fields.items()}
