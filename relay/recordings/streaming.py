"""The response to a request for an open recording: whole, one range or several, with bounded memory.

A client that reads nothing for 30 seconds is disconnected (`relay.server.timed_connection`).
"""

import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.types import Send

from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.opened import OpenRecording
from relay.recordings.ranges import ByteRange, Unsatisfiable, parse_ranges

_CHUNK_BYTES: Final = 65_536

_HEADERS: Final = (
    ("accept-ranges", "bytes"),
    ("content-disposition", "inline"),
    # These replace the headers of all responses. Browsers show a recording in a page of their own, to which
    # the policy applies: it may play media of this origin.
    ("cache-control", "private, max-age=3600"),
    (
        "content-security-policy",
        "default-src 'none'; media-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
)


class _Segment(NamedTuple):
    """Bytes of the recording, after the bytes `before`."""

    before: bytes
    byte_range: ByteRange


async def send_recording(recording: OpenRecording, method: str, headers: Headers, send: Send) -> None:
    """Send the response. Raises `FetchFailed`, also in the middle if the source breaks off.

    RFC 9110, section 14.2: a range is defined for GET alone.
    """
    wanted = _wanted_range(headers, recording.etag) if method == "GET" else None
    if wanted is not None and recording.size is None:
        await recording.wait_until_complete()
    if recording.size is None:
        await _send_growing(recording, method, send)
        return
    size = recording.size
    try:
        ranges = parse_ranges(wanted, size)
    except Unsatisfiable:
        await _start(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, recording, 0, f"bytes */{size}")
        await _end(send)
        return
    if method != "HEAD":  # a source that breaks off before the first byte is still an error of its own
        await recording.read(ranges[0].start if ranges else 0, 1)
    if not ranges:
        whole = ByteRange(0, size)
        await _start(send, HTTPStatus.OK, recording, size)
        await _send_parts(recording, method, [_Segment(b"", whole)], b"", send)
    elif len(ranges) == 1:
        (only,) = ranges
        await _start(send, HTTPStatus.PARTIAL_CONTENT, recording, only.length, only.content_range(size))
        await _send_parts(recording, method, [_Segment(b"", only)], b"", send)
    else:
        await _send_multipart(recording, method, ranges, send)


def _wanted_range(headers: Headers, etag: str) -> str | None:
    """The range that is asked for, unless the client has parts of another recording (`If-Range`)."""
    if_range = headers.get("if-range")
    return None if if_range is not None and if_range.strip() != etag else headers.get("range")


async def _send_growing(recording: OpenRecording, method: str, send: Send) -> None:
    """Send a recording whose size is not known yet, in the order in which it arrives."""
    await _start(send, HTTPStatus.OK, recording, None)
    offset = 0
    while method != "HEAD" and (chunk := await recording.read(offset, _CHUNK_BYTES)):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        offset += len(chunk)
    await _end(send)


async def _send_multipart(
    recording: OpenRecording, method: str, ranges: Sequence[ByteRange], send: Send
) -> None:
    boundary = secrets.token_hex(16)
    size = recording.size or 0
    parts = [
        _Segment(
            f"\r\n--{boundary}\r\nContent-Type: {recording.content_type}\r\n"
            f"Content-Range: {each.content_range(size)}\r\n\r\n".encode(),
            each,
        )
        for each in ranges
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    length = sum(len(part.before) + part.byte_range.length for part in parts) + len(end)
    await _start(
        send,
        HTTPStatus.PARTIAL_CONTENT,
        recording,
        length,
        content_type=f"multipart/byteranges; boundary={boundary}",
    )
    await _send_parts(recording, method, parts, end, send)


async def _send_parts(
    recording: OpenRecording, method: str, parts: Sequence[_Segment], end: bytes, send: Send
) -> None:
    if method == "HEAD":
        await _end(send)
        return
    for part in parts:
        if part.before:
            await send({"type": "http.response.body", "body": part.before, "more_body": True})
        for offset, length in _pieces(part.byte_range):
            await _send_piece(recording, offset, length, send)
    await _end(send, end)


async def _send_piece(recording: OpenRecording, offset: int, length: int, send: Send) -> None:
    """Send these bytes as they arrive: the file may have only a part of them yet."""
    while length:
        chunk = await recording.read(offset, length)
        if not chunk:
            raise FetchFailed(Reason.UNAVAILABLE, "the recording is shorter than stated")
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        offset, length = offset + len(chunk), length - len(chunk)


def _pieces(byte_range: ByteRange) -> Iterator[tuple[int, int]]:
    for offset in range(byte_range.start, byte_range.end, _CHUNK_BYTES):
        yield offset, min(_CHUNK_BYTES, byte_range.end - offset)


async def _start(
    send: Send,
    status: HTTPStatus,
    recording: OpenRecording,
    length: int | None,
    content_range: str | None = None,
    *,
    content_type: str | None = None,
) -> None:
    head = [("content-type", content_type or recording.content_type), ("etag", recording.etag), *_HEADERS]
    if length is not None:
        head.append(("content-length", str(length)))
    if content_range is not None:
        head.append(("content-range", content_range))
    headers = [(name.encode(), value.encode("latin-1")) for name, value in head]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    # See `relay.server.exchange`: browsers would obey both of two policies.
    await send(start | {"relay.replaces_headers": True})


async def _end(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body, "more_body": False})
