"""A request, and the JSON value in its body: decompressed, then decoded as JSON, a form or a query.

A fast decoder parses nearly all bodies. A slow one parses again what the fast one refuses or what may hold
more than can be stored, to find out what is wrong and where. A call is worth more than a character: what is
no character, or cannot be stored, becomes U+FFFD.
"""

import codecs
import json
import math
import re
import zlib
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import msgspec

from relay.cloudtalk.body_secrets import TOKEN_QUERY_KEY
from relay.cloudtalk.errors import InvalidPayload, pointer_step
from relay.standards.webhooks import message_id

MAX_DEPTH: Final = 64
"""The limit of nested objects and arrays."""

_MAX_FORM_FIELDS: Final = 1_000
_MAX_FORM_ESCAPES: Final = 200_000
"""More of them would stop the event loop for more than 50 ms, also from another thread."""

_MAX_INTEGER: Final = 2**63 - 1
"""A database column of 64 bits holds no larger number."""

_BOM: Final = b"\xef\xbb\xbf"
_UTF_8: Final = "utf-8"
_CHARSET: Final = re.compile(
    r"charset\s*=\s*[\"']?((?:iso[-_]?8859[-_]|latin-?|windows-|cp-?)\d{1,4}|koi8-[ru]|macintosh|shift_jis|big5|gbk"
    r"|gb2312|gb18030|euc-(?:jp|kr))\b",
    re.IGNORECASE,
)
"""The declaration of a charset in which each character has one or two bytes."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL holds no U+0000, and half a surrogate pair is no character."""

_REPLACEMENT: Final = "\ufffd"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_UNCOMPRESSED: Final = frozenset({"", "identity"})
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_NO_FIELDS: Final = frozenset({TOKEN_QUERY_KEY, "event"})
"""Keys of a query that are no fields of a call."""

_DIGITS_TO_ZERO: Final = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord(" ") for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""With all digits replaced by zero, a number of this length may exceed 64 bits. A regular expression would
cost more than the decoder."""

_decoder = msgspec.json.Decoder()


class RequestHead(msgspec.Struct, frozen=True):
    """A request without its body. Header names are lower case; `client` is the address of the peer,
    `http_version` is written as in the ASGI scope (`1.0`).
    """

    headers: dict[str, str]
    query: str
    client: str | None
    method: str = "POST"
    path: str = ""
    http_version: str = "1.1"

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def content_encoding(self) -> str:
        return self.headers.get("content-encoding", "")

    def with_body(self, raw: bytes) -> "RawRequest":
        """Return the whole request as the parser needs it."""
        return RawRequest(
            raw,
            content_type=self.content_type,
            path=self.path,
            query=self.query,
            encoding=self.content_encoding,
            message_id=message_id(self.headers),
            method=self.method,
        )


class BodyLimits(msgspec.Struct, frozen=True):
    """The limits of a body: its size in bytes, as sent and decompressed, and the number of its values."""

    size: int = 1_048_576
    values: int = 200_000


DEFAULT_LIMITS: Final = BodyLimits()


class RawRequest(msgspec.Struct, frozen=True):
    """A request to the webhook. `raw` is the body as received, `path` the whole path, `encoding` the
    Content-Encoding, `message_id` the svix-id or webhook-id of a signed message, `method` the HTTP method.
    """

    raw: bytes
    content_type: str = ""
    path: str = ""
    query: str = ""
    encoding: str = ""
    message_id: str | None = None
    method: str = "POST"

    @property
    def is_from_call_flow(self) -> bool:
        """Whether the URL was given to a step of a call flow: it ends in `/flow` or `/flow/EVENT`."""
        return "flow" in self.path.split("/")[-2:]

    @property
    def is_compressed(self) -> bool:
        """Whether the body is declared as compressed, or begins like a gzip file."""
        if self.raw.startswith(_GZIP_MAGIC):
            return True
        return bool(self.encoding) and self.encoding.strip().lower() in _COMPRESSED


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
    return _make_texts_storable(dict(pairs))


def _parse_query(query: str) -> dict[str, str] | None:
    try:
        fields = {key: value for key, value in _split_pairs(query) if key.strip().lower() != TOKEN_QUERY_KEY}
    except ValueError as error:
        raise InvalidPayload("not_json", f"the query cannot be parsed: {error}", status=400) from error
    if _NO_FIELDS.issuperset(key.strip().lower() for key in fields):
        return None
    return _make_texts_storable(fields)


def _split_pairs(text: str, charset: str = _UTF_8) -> list[tuple[str, str]]:
    """Split a form; its escapes are UTF-8 or in this charset. Raises `ValueError` for too many fields."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError:
        return parse_qsl(text, keep_blank_values=True, encoding=charset)


def _make_texts_storable(fields: dict[str, str]) -> dict[str, str]:
    return {_make_text_storable(key): _make_text_storable(value) for key, value in fields.items()}


# --- JSON ---------------------------------------------------------------------------------------


def parse_json(raw: bytes) -> Any:
    """Raises `InvalidPayload`: 400 for what is not JSON, 422 for a value that cannot be stored."""
    try:
        value = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_json_slowly(raw)
    return make_storable(value) if _may_be_unstorable(raw) else value


def _may_be_unstorable(raw: bytes) -> bool:
    return (
        b"\\u0000" in raw
        or _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO)
        or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH
    )


def _parse_json_slowly(raw: bytes) -> Any:
    """A text may contain control characters: people type templates around values with several lines."""
    try:
        value = json.loads(raw.decode(errors="replace"), strict=False, parse_constant=_reject_constant)
    except RecursionError as error:
        raise InvalidPayload("too_deep", f"nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise InvalidPayload("not_json", f"the body is not JSON: {error}", status=400) from error
    return make_storable(value)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def make_storable(value: Any, pointer: str = "", depth: int = 0) -> Any:
    """Return the value with U+FFFD in place of characters that a database or a CRM could not hold.

    Raises `InvalidPayload` (422) for a number that they could not hold, and for deep nesting.
    """
    if depth > MAX_DEPTH:
        raise InvalidPayload("too_deep", f"nested deeper than {MAX_DEPTH} levels", pointer)
    match value:
        case dict():
            storable = {_make_text_storable(key): item for key, item in value.items()}
            return {
                key: make_storable(item, pointer + pointer_step(key), depth + 1)
                for key, item in storable.items()
            }
        case list():
            return [make_storable(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
        case str():
            return _make_text_storable(value)
        case int() | float():
            _check_number(value, pointer)
    return value


def _make_text_storable(text: str) -> str:
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def _check_number(number: float, pointer: str) -> None:
    fits = abs(number) <= _MAX_INTEGER if isinstance(number, int) else math.isfinite(number)
    if not fits:
        raise InvalidPayload("unstorable_number", "a number of more than 64 bits", pointer)
