"""Read the body of a request: receive its bytes within limits, then decode it and remove its secrets."""

from typing import Any, Final

import msgspec
from starlette.types import Receive

from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.decoding import BodyLimits, parse_text, read_text
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import ParsedItem
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.unparsed import clean_unparsed
from relay.ingest.limits import Permit

METHODS: Final = ("GET", "PATCH", "POST", "PUT")

UNAUTHENTICATED: Final = BodyLimits(size=65_536, values=2_000)
"""The limits of a body that has to be decoded to find the token in it."""

MAX_SIGNED_EXCESS: Final = 8 * 1024 * 1024
"""So many bytes of a signed body beyond the limit are received to verify the signature: its sender would
disable the endpoint if its message were refused."""

_STORED_OVERSIZE_BYTES: Final = 4096
"""Of a body that is too large, only the beginning is stored."""

_MAX_DRAINED_BYTES: Final = 8 * 1024 * 1024
"""A sender that is still sending reads no response: so much beyond the limit is read and dropped."""


class ReceivedBody(msgspec.Struct, frozen=True):
    """The bytes of a body as received, of which a signature was made; with an `error`, its beginning."""

    raw: bytes
    error: InvalidPayload | None = None


class Body(msgspec.Struct, frozen=True):
    """A decoded body.

    `clean` is the body as received, but without secrets, and may be stored. `tokens` are secrets in the body
    that may authenticate the request. `error` is why the body is invalid; `value` is then None.
    """

    clean: bytes
    value: Any = None
    tokens: list[str] = []
    error: InvalidPayload | None = None

    def clean_item(self, item: ParsedItem) -> bytes:
        """Return the part of the body that is this event: an array would be stored once for each event."""
        return self.clean if item.whole else msgspec.json.encode(item.value)


async def receive_body(receive: Receive, permit: Permit, max_bytes: int) -> ReceivedBody:
    """Receive the body. Raises `Overloaded`, also if another request needs the capacity of this one."""
    chunks: list[bytes] = []
    try:
        with permit.until_deadline():
            error = await _receive_chunks(receive, permit, max_bytes, chunks)
    except TimeoutError:
        error = InvalidPayload("timeout", "the sender of the body was too slow", status=408)
    return ReceivedBody(b"".join(chunks), error)


async def _receive_chunks(
    receive: Receive, permit: Permit, max_bytes: int, chunks: list[bytes]
) -> InvalidPayload | None:
    """Append the chunks up to the limit, and return why the body is incomplete."""
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            message = "the connection was closed in the middle of the body"
            return InvalidPayload("disconnected", message, status=400)
        chunk = event.get("body", b"")
        size += len(chunk)
        if size <= max_bytes or not chunks:
            permit.reserve(len(chunk))
            chunks.append(chunk)
        if not event.get("more_body", False) or size > max_bytes + _MAX_DRAINED_BYTES:
            break
        permit.extend(len(chunk))
    if size > max_bytes:
        chunks[:] = [b"".join(chunks)[:_STORED_OVERSIZE_BYTES]]
        return _oversize(max_bytes)
    return None


def limit_size(received: ReceivedBody, max_bytes: int) -> ReceivedBody:
    """Return the body, or its beginning and an error if it is larger."""
    if len(received.raw) <= max_bytes:
        return received
    return ReceivedBody(received.raw[:_STORED_OVERSIZE_BYTES], _oversize(max_bytes))


def _oversize(max_bytes: int) -> InvalidPayload:
    return InvalidPayload("oversize", f"the body is larger than {max_bytes} bytes", status=413)


def decode_body(
    request: RawRequest, receive_error: InvalidPayload | None, secrets: BodySecrets, limits: BodyLimits
) -> Body:
    """Decode the body.

    An error of receiving or decoding is in `Body.error`, and `clean` then has what may be stored.
    """
    try:
        return _decode(request, receive_error, secrets, limits)
    except InvalidPayload as error:
        return Body(clean_unparsed(request, secrets, limits.size), error=forget_frames(error))


def decode_unauthenticated(
    request: RawRequest, receive_error: InvalidPayload | None, secrets: BodySecrets, limits: BodyLimits
) -> Body:
    """Decode the body to find its token. An invalid body has none and is not stored, so it is not cleaned."""
    try:
        return _decode(request, receive_error, secrets, limits)
    except InvalidPayload as error:
        return Body(b"", error=forget_frames(error))


def forget_frames(error: InvalidPayload) -> InvalidPayload:
    """Remove the traceback of the error, whose frames hold the body and the error itself.

    Such a cycle would keep the memory of the body until the garbage collector runs, although it is no longer
    counted as in flight.
    """
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def _decode(
    request: RawRequest, receive_error: InvalidPayload | None, secrets: BodySecrets, limits: BodyLimits
) -> Body:
    """Raises `InvalidPayload`."""
    if receive_error:
        raise receive_error
    _check_supported(request)
    text = read_text(request, limits.size)
    return _remove_secrets(request.raw, text, parse_text(text, request, limits), secrets)


def _check_supported(request: RawRequest) -> None:
    if request.method not in METHODS:
        raise InvalidPayload("method", f"the method {request.method} is not supported", status=405)
    declared = request.content_type.partition(";")[0].strip().lower()
    is_supported = (
        not declared
        or declared.startswith("text/")
        or declared.endswith(("/json", "+json", "/x-www-form-urlencoded"))
    )
    if not is_supported:
        raise InvalidPayload("content_type", f"{declared} is none of JSON, form or text", status=415)


def _remove_secrets(raw: bytes, text: bytes, value: Any, secrets: BodySecrets) -> Body:
    # Only the bytes of plain JSON show whether it may have a secret: a form, a query, and a body that is
    # compressed or in another charset are always searched (`read_text` returns the same object for others).
    is_encoded = text is not raw
    is_plain_json = not is_encoded and raw.lstrip()[:1] in {b"{", b"["}
    if is_plain_json and not secrets.may_be_in(raw):
        return Body(raw, value)
    clean_value, tokens = secrets.remove(value)
    is_clean = not is_encoded and clean_value == value and not secrets.has_listed_secret(raw)
    # A value from the query has no bytes in the body; the query is cleaned by itself.
    clean = raw if is_clean or not raw else msgspec.json.encode(clean_value)
    return Body(clean, clean_value, tokens)
