"""What came over HTTP, and the value in it: unpacked, decoded, JSON or a form or a query."""

import zlib
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from relay.cloudtalk import body
from relay.cloudtalk.errors import InvalidPayload

MAX_BYTES: Final = 1_048_576
"""What a packed body may unpack to, where nothing else is said."""

_MOST_FIELDS: Final = 1_000
_BOM: Final = b"\xef\xbb\xbf"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_PLAIN: Final = frozenset({"", "identity"})
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_NOT_SAID_OF_A_CALL: Final = frozenset({"token", "event"})
"""What a query bears besides fields: the way in, and the event's name."""


class RawRequest(msgspec.Struct, frozen=True):
    """A request to the hook. `path` is the whole one, `encoding` the Content-Encoding, `message_id`
    the svix-id or webhook-id.
    """

    raw: bytes
    content_type: str = ""
    path: str = ""
    query: str = ""
    encoding: str = ""
    message_id: str | None = None

    @property
    def is_of_flow(self) -> bool:
        """Whether the URL says that a call flow waits for the answer: `…/flow` or `…/flow/EVENT`."""
        return "flow" in self.path.split("/")[-2:]


def parse_body(received: RawRequest, max_bytes: int = MAX_BYTES) -> Any:
    """The value that a request bears, None where it bears none.

    Raises `InvalidPayload`: 400 what is neither JSON nor a form, 413 what unpacks to more than `max_bytes`,
    415 an encoding that is not known, 422 what cannot be kept.
    """
    try:
        return _parse(received, max_bytes)
    except InvalidPayload as refused:
        refused.always_ack = received.message_id is not None or received.is_of_flow
        raise


def _parse(received: RawRequest, max_bytes: int) -> Any:
    raw = _unpacked(received, max_bytes).removeprefix(_BOM)
    if not raw or raw.isspace():
        return _fields_of_query(received.query)
    return _form(raw) if _is_form(raw, received.content_type) else body.parse(raw)


def _unpacked(received: RawRequest, max_bytes: int) -> bytes:
    encoding = received.encoding.strip().lower()
    if encoding in _PACKED or received.raw.startswith(_GZIP_MAGIC):
        return _unpack(received.raw, max_bytes)
    if encoding not in _PLAIN:
        raise InvalidPayload("encoding", f"{encoding} is none of gzip, deflate, identity", status=415)
    return received.raw


def _unpack(raw: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise InvalidPayload("encoding", f"the body cannot be unpacked: {error}", status=400) from error
    if len(unpacked) > max_bytes:
        raise InvalidPayload("oversize", f"the body unpacks to more than {max_bytes} bytes", status=413)
    if not unpacker.eof:
        raise InvalidPayload("encoding", "the packed body ends too early", status=400)
    return unpacked


def _is_form(raw: bytes, content_type: str) -> bool:
    """`curl -d` calls JSON a form, and some senders call a form nothing at all."""
    if raw.lstrip()[:1] in {b"{", b"["}:
        return False
    declared = content_type.partition(";")[0].strip().lower()
    if declared.endswith("/x-www-form-urlencoded"):
        return True
    return (not declared or declared.startswith("text/")) and b"=" in raw


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = _pairs(raw.strip().decode())
    except ValueError as error:
        raise InvalidPayload(
            "not_json", f"the body is neither JSON nor a form: {error}", status=400
        ) from error
    if b"=" not in raw:
        raise InvalidPayload("not_json", "the body is neither JSON nor a form", status=400)
    fields = dict(pairs)
    body.inspect(fields)
    return fields


def _fields_of_query(query: str) -> dict[str, str] | None:
    if not query:
        return None
    try:
        fields = {key: value for key, value in _pairs(query) if key.strip().lower() != "token"}
    except ValueError as error:
        raise InvalidPayload("not_json", f"the query cannot be read: {error}", status=400) from error
    if _NOT_SAID_OF_A_CALL.issuperset(key.strip().lower() for key in fields):
        return None
    body.inspect(fields)
    return fields


def _pairs(text: str) -> list[tuple[str, str]]:
    """Raises `ValueError` where percent-escapes are no UTF-8, or fields are too many."""
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
