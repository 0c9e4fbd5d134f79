"""The bytes of a recording as it is, whatever encoding its transport has. The relay asks for none.

Each step of decompression gives a limited number of bytes: a few kilobytes may stand for gigabytes.
"""

import zlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from relay.recordings.failures import FetchFailed, Reason

if TYPE_CHECKING:
    import httpx

_PIECE_BYTES: Final = 65_536
_GZIP: Final = zlib.MAX_WBITS | 16


def encoding_of(response: "httpx.Response") -> str:
    """Return the encoding of the body, `identity` if it has none."""
    return response.headers.get("content-encoding", "").strip().lower() or "identity"


def decode(response: "httpx.Response") -> AsyncIterator[bytes]:
    """Yield the bytes of the recording in pieces. Raises `FetchFailed`, also while they are read."""
    match encoding_of(response):
        case "identity":
            return response.aiter_raw(_PIECE_BYTES)
        case "gzip" | "x-gzip":
            return _unzip(response)
        case other:
            raise FetchFailed(Reason.UNAVAILABLE, f"CloudTalk sent the encoding {other[:40]!r}")


async def _unzip(response: "httpx.Response") -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    async for packed in response.aiter_raw(_PIECE_BYTES):
        rest, is_full = packed, True
        while is_full:
            try:
                piece = unpacker.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise FetchFailed(Reason.UNAVAILABLE, "CloudTalk sent a damaged body") from error
            rest, is_full = unpacker.unconsumed_tail, len(piece) == _PIECE_BYTES
            if piece:
                yield piece
    if not unpacker.eof:
        raise FetchFailed(Reason.UNAVAILABLE, "CloudTalk sent only a part of the recording")
