"""Encodings of the transport."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from relay.recordings.decoding import decode
from relay.recordings.failures import FetchFailed, Reason

AUDIO = bytes(range(256)) * 1_000
ZIPPED = gzip.compress(AUDIO)


def response(body: bytes, encoding: str | None) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    headers = {} if encoding is None else {"content-encoding": encoding}
    return httpx.Response(200, headers=headers, content=stream())


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (AUDIO, None),
        (AUDIO, "identity"),
        (ZIPPED, "gzip"),
        (ZIPPED, " X-GZIP"),
        (ZIPPED + b"more", "gzip"),
    ],
)
async def test_the_bytes_of_the_recording_are_given(body: bytes, encoding: str | None) -> None:
    assert b"".join([piece async for piece in decode(response(body, encoding))]) == AUDIO


async def test_no_step_gives_more_than_64_kibibytes() -> None:
    bomb = gzip.compress(bytes(50_000_003))
    assert len(bomb) < 64 * 1024
    sizes = [len(piece) async for piece in decode(response(bomb, "gzip"))]
    assert max(sizes) == 65_536
    assert sum(sizes) == 50_000_003


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        (ZIPPED[:-100], "gzip", "only a part"),
        (b"RIFF", "gzip", "damaged"),
        (b"", "gzip", "only a part"),
        (ZIPPED, "zstd", "'zstd'"),
        (ZIPPED, "gzip, gzip", "'gzip, gzip'"),
    ],
)
async def test_what_cannot_be_decoded_is_unavailable(body: bytes, encoding: str, message: str) -> None:
    with pytest.raises(FetchFailed, match=message) as caught:
        async for _ in decode(response(body, encoding)):
            pass
    assert caught.value.reason is Reason.UNAVAILABLE
