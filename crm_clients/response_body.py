"""Read the body of a vendor's response, of limited size before and after decompression."""

import zlib
from typing import Final, cast

import httpx
import msgspec

from crm_clients.base import Retry

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Of a response with data, decompressed."""

MAX_ERROR_BYTES: Final = 256 * 1024
"""Of an error. The status decides if the rest is missing."""

ACCEPTED_ENCODING: Final = "gzip"

TOO_LARGE: Final = "answer_too_large"
UNREADABLE: Final = "unreadable_answer"
UNUSABLE: Final = frozenset({TOO_LARGE, UNREADABLE})
"""Codes of the outcomes for a response that was not read: the vendor may have processed the request."""

_GZIP: Final = zlib.MAX_WBITS | 16
_HEADERS_OF_THE_BODY: Final = {b"content-length", b"content-encoding", b"transfer-encoding"}


class Body(msgspec.Struct, frozen=True):
    """The decompressed body, or its start; then `problem` is one of the codes in UNUSABLE."""

    content: bytes
    problem: str | None = None


async def read_response(
    response: httpx.Response, origin: str, *, max_bytes: int = MAX_BODY_BYTES
) -> httpx.Response | Retry:
    """Return the response with its body in memory, or `Retry` if its data cannot be used.

    `response` must be a stream; it is read to its end or to the limit. `origin` names the vendor in messages.
    """
    limit = max_bytes if response.is_success else min(max_bytes, MAX_ERROR_BYTES)
    body = await _read(response, limit)
    if body.problem is not None and response.is_success:
        return _retry(body.problem, origin, response, limit)
    headers = [
        (name, value) for name, value in response.headers.raw if name.lower() not in _HEADERS_OF_THE_BODY
    ]
    return httpx.Response(
        response.status_code, headers=headers, content=body.content, request=response.request
    )


async def _read(response: httpx.Response, limit: int) -> Body:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        return Body(b"", UNREADABLE)
    unpacker = None if encoding == "identity" else zlib.decompressobj(_GZIP)
    content = bytearray()
    received = 0
    # `aiter_bytes` decompresses a chunk of 64 KiB to as much as 64 MiB at once.
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        received += len(chunk)
        try:
            content += unpacker.decompress(chunk, limit + 1 - len(content)) if unpacker else chunk
        except zlib.error:
            return Body(bytes(content), UNREADABLE)
        if max(received, len(content)) > limit:
            return Body(bytes(content[:limit]), TOO_LARGE)
    return Body(bytes(content), UNREADABLE if unpacker and received and not unpacker.eof else None)


def _retry(code: str, origin: str, response: httpx.Response, limit: int) -> Retry:
    status = response.status_code
    messages = {
        TOO_LARGE: f"{origin} answered {status} with more than {limit} bytes, and the rest was not read.",
        UNREADABLE: f"{origin} answered {status} with a body that is not complete gzip.",
    }
    return Retry(code=code, message=messages[code])
