"""Answers that are too long, in size, in unpacked size or in time, from a server on loopback."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from crm_clients.base import Retry, Unknown
from crm_clients.http import HttpResult, VendorHttp
from tests.support.servers import Handle, serving

MIB = 1024 * 1024
LIMIT = MIB
SENT = 64 * MIB
"""What an "endless" answer consists of, at most: a client without a limit must fail its test, not hang."""

PEAK = 12 * MIB
"""Far above the memory that a client with LIMIT needs, and far below SENT."""

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
GZIP = b"content-encoding: gzip\r\n\r\n"
BLOCK = b"x" * 65_536


def bomb() -> Iterator[bytes]:
    """One gzip stream of 16 GiB in 16 MB: each block is 1 MiB of zeros."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    yield packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    yield from (block * 16 for _ in range(1024))


def empty_blocks() -> Iterator[bytes]:
    """One gzip stream that unpacks to nothing."""
    yield gzip.compress(b"")[:10]
    yield from (b"\x00\x00\x00\xff\xff" * 13_000 for _ in range(SENT // 65_000))


def repeated(piece: bytes) -> Iterable[bytes]:
    return (piece for _ in range(SENT // len(piece)))


def responding(head: bytes, pieces: Iterable[bytes] = (), *, pause: float = 0) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass

    return handle


@asynccontextmanager
async def connected(handle: Handle, *, timeout_seconds: float = 30) -> AsyncIterator[VendorHttp]:
    async with serving(handle) as url:
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=timeout_seconds, max_body_bytes=LIMIT)
        try:
            yield http
        finally:
            await http.aclose()


async def request(handle: Handle, *, timeout_seconds: float = 30) -> HttpResult:
    async with connected(handle, timeout_seconds=timeout_seconds) as http:
        return await http.send("POST", "/calls", content=b"[]")


async def request_within_memory(handle: Handle) -> HttpResult:
    async with connected(handle) as http:
        tracemalloc.start()
        try:
            result = await http.send("POST", "/calls", content=b"[]")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < PEAK
    return result


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


TOO_LARGE: dict[str, Callable[[], Handle]] = {
    "chunks without end": lambda: responding(OK + CHUNKED, chunked(repeated(BLOCK))),
    "no length and no end": lambda: responding(OK + b"\r\n", repeated(BLOCK)),
    "a large length": lambda: responding(OK + b"content-length: %d\r\n\r\n" % SENT, repeated(BLOCK)),
    "a gzip bomb": lambda: responding(OK + GZIP, bomb()),
    "a gzip bomb in chunks": lambda: responding(
        OK + b"content-encoding: X-GZip\r\n" + CHUNKED, chunked(bomb())
    ),
    "gzip of nothing": lambda: responding(OK + GZIP, empty_blocks()),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
async def test_an_answer_that_is_too_large_is_a_retry_and_the_memory_is_bounded(kind: str) -> None:
    result = await request_within_memory(TOO_LARGE[kind]())
    assert isinstance(result, Retry)
    assert result.code == "answer_too_large"
    assert "http://127.0.0.1" in (result.message or "")
    assert str(LIMIT) in (result.message or "")


async def test_an_answer_of_exactly_the_limit_is_read() -> None:
    result = await request(responding(OK + b"content-length: %d\r\n\r\n" % LIMIT, [b"x" * LIMIT]))
    assert isinstance(result, httpx.Response)
    assert len(result.content) == LIMIT


async def test_a_compressed_answer_is_unpacked() -> None:
    packed = gzip.compress(b'{"results":[]}')
    head = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    result = await request(responding(head, [packed[:10], packed[10:]]))
    assert isinstance(result, httpx.Response)
    assert (result.json(), result.headers["content-type"]) == ({"results": []}, "application/json")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"<h1>Welcome</h1>"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-12]),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
        ("br", b"\x8b\x00\x80{}\x03"),
        ("deflate", zlib.compress(b"{}")),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_a_retry(encoding: str, body: bytes) -> None:
    head = OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (encoding.encode(), len(body))
    result = await request(responding(head, [body]))
    assert isinstance(result, Retry)
    assert result.code == "unreadable_answer"


async def test_only_gzip_is_asked_for() -> None:
    asked = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).lower())
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    await request(handle)
    assert b"accept-encoding: gzip\r\n" in asked[0]


@pytest.mark.parametrize("status", [401, 422, 429, 500, 503])
@pytest.mark.parametrize("encoding", [b"", b"content-encoding: gzip\r\n"])
async def test_the_status_of_an_endless_error_decides(status: int, encoding: bytes) -> None:
    head = b"HTTP/1.1 %d No\r\nretry-after: 7\r\n%b\r\n" % (status, encoding)
    result = await request_within_memory(responding(head, bomb() if encoding else repeated(BLOCK)))
    assert isinstance(result, httpx.Response)
    assert (result.status_code, result.headers["retry-after"]) == (status, "7")
    assert len(result.content) == 256 * 1024


FLOODS: dict[str, tuple[bytes, bytes]] = {
    "one long header": (OK + b"x-long: ", BLOCK),
    "many headers": (OK, b"x-header: value\r\n" * 4000),
    "a long status line": (b"HTTP/1.1 200 ", BLOCK),
    "a long chunk extension": (OK + CHUNKED + b"5;", BLOCK),
    "many trailers": (OK + CHUNKED + b"0\r\n", b"x-trailer: value\r\n" * 4000),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_of_headers_is_unknown_and_the_memory_is_bounded(kind: str) -> None:
    head, piece = FLOODS[kind]
    assert isinstance(await request_within_memory(responding(head, repeated(piece))), Unknown)


TRICKLES = {
    "body": (OK + b"\r\n", b"x"),
    "chunks": (OK + CHUNKED, b"1\r\nx\r\n"),
    "headers": (OK, b"x-more: 1\r\n"),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "error": (b"HTTP/1.1 500 No\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("kind", TRICKLES)
async def test_an_answer_that_trickles_is_unknown_after_the_timeout(kind: str) -> None:
    head, piece = TRICKLES[kind]
    slow = responding(head, (piece for _ in range(400)), pause=0.05)
    assert isinstance(await request(slow, timeout_seconds=0.3), Unknown)


async def test_the_next_request_after_an_endless_answer_gets_its_own_answer() -> None:
    answers = [(OK + b"\r\n", repeated(BLOCK)), (b"HTTP/1.1 204 No Content\r\n\r\n", ())]
    remaining = iter(answers)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, pieces = next(remaining)
        await responding(head, pieces)(reader, writer)

    async with connected(handle) as http:
        first, second = [await http.send("GET", "/") for _ in answers]
    assert isinstance(first, Retry)
    assert isinstance(second, httpx.Response)
    assert second.status_code == 204
