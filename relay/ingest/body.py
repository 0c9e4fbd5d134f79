"""Read the body of a request: within limits of size and time, and with its secrets removed."""

import asyncio
from typing import Any, Final

import msgspec
from starlette.types import Receive

from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import ParsedItem
from relay.cloudtalk.request import RequestHead, is_utf8, parse_body, to_utf8
from relay.ingest.limits import Permit

METHODS: Final = ("GET", "PATCH", "POST", "PUT")

_TIMEOUT_SECONDS: Final = 30
"""A sender that takes longer occupies capacity that other requests need."""

_STORED_OVERSIZE_BYTES: Final = 4096
"""Of a body that is too large, only the beginning is stored."""

_MAX_DRAINED_BYTES: Final = 8 * 1024 * 1024
"""A sender that is still sending reads no response: so much beyond the limit is read and dropped."""


class Body(msgspec.Struct, frozen=True):
    """The body of one request.

    `raw` is the body as received, of which a signature was made; `clean` is the same without secrets, and
    may be stored. `tokens` are secrets in the body that may authenticate the request. `error` is why the body
    is invalid; `value` is then None.
    """

    raw: bytes
    clean: bytes
    value: Any = None
    tokens: list[str] = []
    error: InvalidPayload | None = None

    def clean_item(self, item: ParsedItem) -> bytes:
        """Return the part of the body that is this event: an array would be stored once for each event."""
        return self.clean if item.whole else msgspec.json.encode(item.value)


class _IncompleteBody(InvalidPayload):
    """The body was not received as a whole; `received` is its beginning."""

    def __init__(self, received: bytes, reason: str, message: str, *, status: int) -> None:
        super().__init__(reason, message, status=status)
        self.received = received


async def read_body(
    head: RequestHead, receive: Receive, permit: Permit, secrets: BodySecrets, max_bytes: int
) -> Body:
    """Receive and decode the body; an invalid body is returned with its `error`. Raises `Overloaded`."""
    raw = b""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            raw = await _receive_bytes(receive, permit, max_bytes)
        _check_head(head)
        value = parse_body(head.with_body(raw), max_bytes)
    except TimeoutError:
        message = f"the body was not complete within {_TIMEOUT_SECONDS} s"
        return Body(raw, b"", error=InvalidPayload("timeout", message, status=408))
    except _IncompleteBody as error:
        return Body(raw, secrets.redact_raw(to_utf8(error.received, head.content_type)), error=error)
    except InvalidPayload as error:
        return Body(raw, secrets.redact_raw(to_utf8(raw, head.content_type)), error=error)
    return _remove_secrets(head, raw, value, secrets)


async def _receive_bytes(receive: Receive, permit: Permit, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            message = "the connection was closed in the middle of the body"
            raise _IncompleteBody(b"".join(chunks), "disconnected", message, status=400)
        chunk = event.get("body", b"")
        size += len(chunk)
        if size <= max_bytes or not chunks:
            permit.reserve(len(chunk))
            chunks.append(chunk)
        if not event.get("more_body", False) or size > max_bytes + _MAX_DRAINED_BYTES:
            break
    raw = b"".join(chunks)
    if size > max_bytes:
        message = f"the body is larger than {max_bytes} bytes"
        raise _IncompleteBody(raw[:_STORED_OVERSIZE_BYTES], "oversize", message, status=413)
    return raw


def _check_head(head: RequestHead) -> None:
    if head.method not in METHODS:
        raise InvalidPayload("method", f"the method {head.method} is not supported", status=405)
    declared = head.content_type.partition(";")[0].strip().lower()
    is_supported = (
        not declared
        or declared.startswith("text/")
        or declared.endswith(("/json", "+json", "/x-www-form-urlencoded"))
    )
    if not is_supported:
        raise InvalidPayload("content_type", f"{declared} is none of JSON, form or text", status=415)


def _remove_secrets(head: RequestHead, raw: bytes, value: Any, secrets: BodySecrets) -> Body:
    # Only the bytes of plain JSON show whether it may have a secret: a form, a query, and a body that is
    # compressed or in another charset are always searched.
    is_encoded = "content-encoding" in head.headers or not is_utf8(raw, head.content_type)
    is_plain_json = not is_encoded and raw.lstrip()[:1] in {b"{", b"["}
    if is_plain_json and not secrets.may_be_in(raw):
        return Body(raw, raw, value)
    clean_value, tokens = secrets.remove(value)
    is_clean = not is_encoded and clean_value == value and not secrets.has_listed_token(raw)
    # A value from the query has no bytes in the body; the query is cleaned by itself.
    clean = raw if is_clean or not raw else msgspec.json.encode(clean_value)
    return Body(raw, clean, clean_value, tokens)
