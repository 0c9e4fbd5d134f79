"""The path of Supabase's API in front of PostgREST: `/rest/v1/calls` becomes `/calls`, and nothing else.

It is a process of its own, which forwards bytes and counts requests, so that it costs the relay little.
"""

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from typing import Final, cast

from relay.server.server import new_event_loop

_PREFIX: Final = b" /rest/v1/"
_STOP_SECONDS: Final = 5


class Gateway:
    """A running gateway."""

    def __init__(self, url: str, count: "Synchronized[int]") -> None:
        self.url = url
        self._count = count

    @property
    def requests(self) -> int:
        """The number of requests so far."""
        return self._count.value


@contextmanager
def running_gateway(upstream_port: int) -> Iterator[Gateway]:
    """Run a gateway to this port of loopback during the block."""
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    process = context.Process(target=_serve, args=(listener, upstream_port, count), daemon=True)
    process.start()
    try:
        yield Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", count)
    finally:
        process.terminate()
        process.join(_STOP_SECONDS)
        listener.close()


def _serve(listener: socket.socket, upstream_port: int, count: "Synchronized[int]") -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            partial(_Client, upstream_port, count), sock=listener
        )
        await server.serve_forever()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve())


class _Client(asyncio.Protocol):
    """A connection of the relay, with a connection to PostgREST of its own.

    A request begins with the first bytes after a response, because the relay sends one at a time.
    """

    def __init__(self, upstream_port: int, count: "Synchronized[int]") -> None:
        self._upstream_port = upstream_port
        self._count = count
        self._upstream: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self.begins_request = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._upstream, _ = await loop.create_connection(
            lambda: _Upstream(self), "127.0.0.1", self._upstream_port
        )
        self._upstream.writelines(self._waiting)

    def data_received(self, data: bytes) -> None:
        if self.begins_request:
            self.begins_request = False
            data = data.replace(_PREFIX, b" /", 1)
            self._count.value += 1
        if self._upstream is None:
            self._waiting.append(data)
        else:
            self._upstream.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.close()


class _Upstream(asyncio.Protocol):
    """A connection to PostgREST, whose responses go to a client."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.begins_request = True
        self._client.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._client.transport.close()
