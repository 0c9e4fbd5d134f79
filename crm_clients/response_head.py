"""Limit what a vendor sends before its response: interim answers (HTTP 1xx) have no end of their own.

h11 limits the size of one head, and httpcore reads interim answers until the response comes. The bytes are
counted where they are read: `limit_heads` wraps the network streams of a client, `LimitedHead` counts for the
request that is sent in its block.
"""

import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

import httpcore
import httpx

MAX_HEAD_BYTES: Final = 131_072
"""Of a response's head with all interim answers before it. More than h11's limit for one head (100 KiB)."""

_PIECE_BYTES: Final = 16_384
"""What is read at once before the response has begun, so that little is parsed beyond the limit."""


class HeadTooLarge(Exception):
    """A vendor sent more than `MAX_HEAD_BYTES` bytes, and its response has not begun."""


class LimitedHead:
    """Counts the bytes before the response to one request, with those from a proxy.

    The block must end when the head of the response was read. The body is read after it, by the same task.
    """

    def __init__(self) -> None:
        self._is_awaited = True
        self._received = 0

    def __enter__(self) -> None:
        _current.set(self)

    def __exit__(self, *_: object) -> None:
        self._is_awaited = False

    def allowed(self, max_bytes: int) -> int:
        """Return how many bytes may be read at once. Raises `HeadTooLarge`."""
        if not self._is_awaited:
            return max_bytes
        if self._received >= MAX_HEAD_BYTES:
            raise HeadTooLarge
        return min(max_bytes, _PIECE_BYTES)

    def count(self, size: int) -> None:
        """Count bytes that were read."""
        self._received += size


_current: ContextVar[LimitedHead] = ContextVar("limited_head")
"""Of the request that this task sends: httpcore reads its response in the same task."""


def limit_heads(client: httpx.AsyncClient) -> None:
    """Wrap the network streams of a client, with and without a proxy. httpx has no setting for this."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        if isinstance(transport, httpx.AsyncHTTPTransport):
            pool = transport._pool  # noqa: SLF001
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        head = _current.get()
        data = await self._stream.read(head.allowed(max_bytes), timeout)
        head.count(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
