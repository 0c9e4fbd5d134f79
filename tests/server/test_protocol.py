"""HTTP on one connection: limits of heads, of time and of waiting requests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from relay.server.connections import Connections
from relay.server.protocol import MAX_PIPELINED, BoundedProtocol
from tests.support.patience import PATIENCE

HOST = b"Host: relay\r\n"
REQUEST = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


class Application:
    """Answers each request with its body. `gate`: responses wait until it is open."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.disconnects = 0
        self.requested = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads_bodies = True
        self.connections: set[Any] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requested.set()
        body = b""
        while self.reads_bodies:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        await self.gate.wait()
        self.bodies.append(body)
        self.headers.append(dict(scope["headers"]))
        head = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def status(self) -> int:
        """Read the head of one response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        return await self.reader.read()


Connect = Callable[[], Any]


@asynccontextmanager
async def serving(
    application: Application, *, limit: int = 100, head_seconds: float = 60, keep_alive: float = 60
) -> AsyncIterator[Connect]:
    """Serve the application; yield a function that connects to it."""
    config = uvicorn.Config(application, ws="none", lifespan="off", log_config=None)
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]
    state, connections = ServerState(), Connections(limit)
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(
            connections, config=config, server_state=state, app_state={}, head_seconds=head_seconds
        ),
        "127.0.0.1",
    )
    application.connections = state.connections
    clients: list[Client] = []

    async def connect() -> Client:
        client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        clients.append(client)
        return client

    try:
        async with asyncio.timeout(PATIENCE):
            yield connect
    finally:
        server.close()
        for client in clients:
            client.writer.transport.abort()
        for connection in state.connections:
            connection.transport.abort()
        application.gate.set()
        async with asyncio.timeout(PATIENCE):
            while state.connections or state.tasks:
                await asyncio.sleep(0)
        assert [connections._open, connections._idle, connections._unfinished] == [set(), {}, {}]


@pytest.fixture
def application() -> Application:
    return Application()


# --- size ---------------------------------------------------------------------------------------

FILL = b"x" * 33_000
MANY = b"".join(b"h%d: v\r\n" % number for number in range(1_010))


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\n" + HOST + b"X: " + FILL,
        b"POST /a HTTP/1.1\r\n" + HOST + b"X: " + FILL + b"\r\n\r\n",
        b"POST /" + FILL,
        b"POST /a?" + FILL + b" HTTP/1.1\r\n\r\n",
        b"POST /a HTTP/1.1\r\n" + FILL,
        b"POST /a HTTP/1.1\r\nX: " + b" " * 33_000,
        b"POST /a HTTP/1.1\r\n" + b"X-Header-Name: value\r\n" * 1_600,
        b"POST /a HTTP/1.1\r\n" + MANY,
        b"POST /a HTTP/1.1\r\n" + MANY + b"\r\n",
        b"\r\n" * 17_000,
        b"POST /a HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 3_000_000,
    ],
    ids=lambda head: f"{head[:40]!r} of {len(head)}",
)
async def test_a_large_head_gets_431_and_the_connection_is_closed(
    application: Application, head: bytes
) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(head)
        assert await client.status() == 431
        assert b"32768 bytes" in await client.rest()
    assert application.bodies == []


@pytest.mark.parametrize("size", [1, 700])
async def test_a_large_head_in_small_parts_gets_431(application: Application, size: int) -> None:
    head = b"POST /a HTTP/1.1\r\nX: " + b"x" * (32_768 if size > 1 else 2_000)
    async with serving(application) as connect:
        client = await connect()
        for start in range(0, len(head), size):
            client.send(head[start : start + size])
            await asyncio.sleep(0)
        if size == 1:  # small enough
            client.send(b"\r\nContent-Length: 0\r\n\r\n")
            assert await client.status() == 200
        else:
            assert await client.status() == 431


@pytest.mark.parametrize("size", [15_000, 32_600])
async def test_a_head_within_the_limit_is_accepted(application: Application, size: int) -> None:
    head = b"POST /a HTTP/1.1\r\nContent-Length: 0\r\nX: " + b"x" * size + b"\r\n\r\n"
    async with serving(application) as connect:
        client = await connect()
        for _ in range(3):  # the size counts for each request
            client.send(head)
            assert await client.status() == 200


@pytest.mark.parametrize(
    "ending",
    [
        b"0\r\nX: " + b"x" * 40_000,
        b"0\r\n" + b"X-Trailer: value\r\n" * 3_000,
        b"3;" + b"x" * 40_000,
        b"0" * 40_000,
    ],
    ids=["trailer", "trailers", "extension", "zeros"],
)
async def test_endless_chunk_extensions_and_trailers_end_the_request(
    application: Application, ending: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.server.timed_connection._LINGER_SECONDS", 60)
    async with serving(application) as connect:
        client = await connect()
        client.send(CHUNKED + b"3\r\nabc\r\n")
        await application.requested.wait()
        client.send(ending)
        assert await client.status() in {400, 431}
        await client.rest()
        while not application.disconnects:
            await asyncio.sleep(0)
    assert application.bodies == []


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/a?next=http://evil.example/", b"localhost"),
        (b"http://evil.example/a", b"evil.example"),
        (b"https://evil.example:81/?x", b"evil.example:81"),
        (b"*", b"localhost"),
    ],
)
@pytest.mark.parametrize("hosts", [b"Host: localhost\r\n", b"host: localhost\r\nHOST: localhost\r\n"])
async def test_the_host_of_an_absolute_target_counts(
    application: Application, target: bytes, host: bytes, hosts: bytes
) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(b"OPTIONS " + target + b" HTTP/1.1\r\n" + hosts + b"\r\n")
        assert await client.status() == 200
    assert application.headers[0][b"host"] == host


async def test_a_trailer_is_no_header_of_the_request(application: Application) -> None:
    application.gate.clear()
    async with serving(application) as connect:
        client = await connect()
        client.send(CHUNKED + b"3;x=y\r\nabc\r\n0\r\nAuthorization: Bearer t\r\nHost: other\r\n\r\n")
        await application.requested.wait()
        application.gate.set()
        assert await client.status() == 200
    assert application.bodies == [b"abc"]
    assert application.headers == [{b"host": b"relay", b"transfer-encoding": b"chunked"}]


async def test_a_large_body_in_small_chunks_is_no_large_head(application: Application) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(CHUNKED + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")
        assert await client.status() == 200
    assert application.bodies == [b"a" * 20_000]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # the start of a TLS connection
        b"GET http:///a HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST http://[::1/a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    ],
)
async def test_malformed_bytes_get_400(application: Application, sent: bytes) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(sent)
        assert await client.status() == 400
        assert await client.rest()


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"Content-Length: 3, 3\r\n\r\nabc",
        b"Content-Length: +3\r\n\r\nabc",
        b"Content-Length : 3\r\n\r\nabc",
        b"X: a\r\n Content-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        b"X: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_a_request_whose_length_proxies_may_read_differently_gets_400(
    application: Application, rest: bytes
) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(b"POST /a HTTP/1.1\r\n" + HOST + rest + REQUEST)
        assert await client.status() == 400
        await client.rest()
    assert application.bodies == []


@pytest.mark.parametrize("target", [b"/a", b"relay:443", b"http://relay/a"])
@pytest.mark.parametrize(
    "header", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Content-Length: 3\r\n"]
)
async def test_a_request_for_a_tunnel_gets_one_400(
    application: Application, target: bytes, header: bytes
) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + header + b"\r\n" + REQUEST)
        assert await client.status() == 400
        assert b"HTTP/1.1" not in await client.rest()
    assert application.bodies == []


# --- pipelined requests -------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order(application: Application) -> None:
    requests = [REQUEST.replace(b"abc", b"%03d" % number) for number in range(MAX_PIPELINED)]
    async with serving(application) as connect:
        client = await connect()
        client.send(b"".join(requests))
        for number in range(MAX_PIPELINED):
            assert await client.status() == 200
            assert await client.reader.readexactly(3) == b"%03d" % number


@pytest.mark.parametrize(
    ("following", "answered"),
    [
        (REQUEST * 1_000, MAX_PIPELINED + 1),
        (b"POST /a HTTP/1.1\r\nX: " + b"x" * 60_000, 1),
        (b"POST /a HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n", 1),
        (b"no HTTP at all\r\n\r\n", 1),
    ],
    ids=["too many", "too large", "too large and complete", "malformed"],
)
async def test_a_request_is_answered_whatever_follows_it(
    application: Application, following: bytes, answered: int
) -> None:
    application.gate.clear()
    async with serving(application) as connect:
        client = await connect()
        client.send(REQUEST + following)
        await application.requested.wait()
        await asyncio.sleep(0.05)
        application.gate.set()
        for _ in range(answered):
            assert await client.status() == 200
            assert await client.reader.readexactly(3) == b"abc"
        assert await client.rest() == b""
    assert application.bodies == [b"abc"] * answered


async def test_a_response_after_the_client_closed_does_not_exceed_the_limit(application: Application) -> None:
    application.gate.clear()
    async with serving(application, limit=1) as connect:
        client = await connect()
        client.send(REQUEST * 2)
        await application.requested.wait()
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        application.gate.set()
        while not application.bodies:
            await asyncio.sleep(0)
        application.gate.clear()
        application.requested.clear()
        (await connect()).send(REQUEST)
        await application.requested.wait()
        assert await (await connect()).status() == 503


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun", [b"P", b"\r\n", b"POST /a HTTP/1.1\r\nHost: rel", REQUEST + b"POST /a HTTP/1.1\r\n"]
)
async def test_a_head_that_takes_too_long_gets_408(application: Application, begun: bytes) -> None:
    async with serving(application, head_seconds=0.05) as connect:
        client = await connect()
        client.send(begun)
        if b"abc" in begun:
            assert await client.status() == 200
            assert await client.reader.readexactly(3) == b"abc"
        assert await client.status() == 408
        await client.rest()


async def test_a_connection_with_a_part_of_a_head_is_not_idle(application: Application) -> None:
    async with serving(application, keep_alive=0.05, head_seconds=0.3) as connect:
        client = await connect()
        client.send(REQUEST + b"POST /a HTTP/1.1\r\n")
        assert await client.status() == 200
        assert await client.reader.readexactly(3) == b"abc"
        assert await client.status() == 408


async def test_a_part_of_a_head_after_a_body_that_was_answered_early_is_not_idle(
    application: Application,
) -> None:
    application.reads_bodies = False
    async with serving(application, keep_alive=0.05, head_seconds=0.3) as connect:
        client = await connect()
        client.send(REQUEST.removesuffix(b"abc"))
        assert await client.status() == 200
        client.send(b"abcPOST /a HTTP/1.1\r\n")
        assert await client.status() == 408


async def test_single_bytes_do_not_extend_the_time_of_a_head(application: Application) -> None:
    async with serving(application, head_seconds=0.1) as connect:
        client = await connect()
        client.send(b"POST /")
        reading = asyncio.create_task(client.status())
        while not reading.done():
            client.send(b"a")
            await asyncio.sleep(0.005)
        assert reading.result() == 408


async def test_the_time_of_a_head_ends_with_the_head(application: Application) -> None:
    application.gate.clear()
    async with serving(application, head_seconds=0.25) as connect:
        client = await connect()
        client.send(REQUEST[:10])
        await asyncio.sleep(0)
        client.send(REQUEST[10:-1])
        await application.requested.wait()
        await asyncio.sleep(0.3)
        client.send(REQUEST[-1:])
        application.gate.set()
        assert await client.status() == 200


async def test_an_unused_connection_is_closed_like_an_idle_one(application: Application) -> None:
    async with serving(application, keep_alive=0.02) as connect:
        assert await (await connect()).rest() == b""


async def test_the_time_of_an_idle_connection_counts_from_its_last_response(application: Application) -> None:
    async with serving(application, keep_alive=0.4) as connect:
        client = await connect()
        for _ in range(4):
            await asyncio.sleep(0.2)
            client.send(REQUEST)
            assert await client.status() == 200
            assert await client.reader.readexactly(3) == b"abc"
        answered_at = asyncio.get_running_loop().time()
        assert await client.rest() == b""
        assert asyncio.get_running_loop().time() - answered_at >= 0.39


async def test_a_connection_with_a_request_is_not_idle(application: Application) -> None:
    application.gate.clear()
    async with serving(application, keep_alive=0.05) as connect:
        client = await connect()
        client.send(REQUEST)
        await application.requested.wait()
        await asyncio.sleep(0.2)
        application.gate.set()
        assert await client.status() == 200


async def test_a_body_that_was_answered_before_its_end_has_limited_time(application: Application) -> None:
    application.reads_bodies = False
    async with serving(application, head_seconds=0.3) as connect:
        client, complete = await connect(), await connect()
        client.send(REQUEST[:-1])
        complete.send(REQUEST[:-1])
        assert (await client.status(), await complete.status()) == (200, 200)
        complete.send(REQUEST[-1:])  # the whole body arrived: the connection can be used again
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.status()
        complete.send(REQUEST)
        assert await complete.status() == 200


async def test_a_connection_is_idle_after_a_body_that_was_answered_before_its_end(
    application: Application,
) -> None:
    application.reads_bodies = False
    async with serving(application, keep_alive=0.2) as connect:
        client = await connect()
        client.send(REQUEST[:-1])
        assert await client.status() == 200
        client.send(REQUEST[-1:])
        assert await client.rest() == b""


async def test_a_client_that_reads_no_response_loses_its_connection(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.server.timed_connection._WRITE_SECONDS", 0.05)
    body = b"x" * 32_000_000  # more than the buffers of the sockets
    async with serving(application) as connect:
        client = await connect()
        client.writer.transport.pause_reading()
        client.send(b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while not application.bodies:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        client.writer.transport.resume_reading()
        assert len(await client.rest()) < len(body)


# --- number -------------------------------------------------------------------------------------


async def test_new_connections_take_the_places_of_idle_and_half_sent_ones(application: Application) -> None:
    async with serving(application, limit=3) as connect:
        busy, half_sent, idle = await connect(), await connect(), await connect()
        half_sent.send(REQUEST + b"POST /a HTTP/1.1\r\n")
        assert await half_sent.status() == 200
        assert await half_sent.reader.readexactly(3) == b"abc"
        half_sent.send(b"Host: relay\r\n")
        await asyncio.sleep(0.01)
        idle.send(REQUEST)
        assert await idle.status() == 200
        application.gate.clear()
        application.requested.clear()
        busy.send(REQUEST)
        await application.requested.wait()
        await connect()
        assert await idle.rest() == b"abc"  # after its response the connection was closed
        await connect()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await half_sent.status()
        application.gate.set()
        assert await busy.status() == 200


async def test_without_a_place_a_new_connection_gets_503(application: Application) -> None:
    application.gate.clear()
    async with serving(application, limit=1) as connect:
        busy = await connect()
        busy.send(REQUEST)
        await application.requested.wait()
        refused = await connect()
        assert await refused.status() == 503
        application.gate.set()
        assert await busy.status() == 200


# --- upgrades -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
async def test_a_request_for_another_protocol_is_answered_as_http(
    application: Application, protocol: bytes
) -> None:
    head = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    with capture_logs() as lines:
        async with serving(application) as connect:
            client = await connect()
            for request in (REQUEST, REQUEST, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"):
                sent = request.replace(HOST, HOST + head)
                client.send(sent[:60])
                await asyncio.sleep(0)
                client.send(sent[60:])
                assert await client.status() == 200
                assert await client.reader.readexactly(3) == b"abc"
            client.send(REQUEST.replace(HOST, HOST + head) * 10)
            for _ in range(10):
                assert await client.status() == 200
                assert await client.reader.readexactly(3) == b"abc"
    assert lines == []
    assert application.headers[0] == {
        b"host": b"relay",
        b"connection": b"Upgrade, HTTP2-Settings",
        b"http2-settings": b"AAMAAABk",
        b"content-length": b"3",
    }


async def test_a_client_that_expects_100_continue_gets_it(application: Application) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(REQUEST.replace(HOST, HOST + b"Expect: 100-continue\r\n")[:-3])
        assert await client.status() == 100
        client.send(b"abc")
        assert await client.status() == 200


# --- stop ---------------------------------------------------------------------------------------


async def stop(application: Application) -> None:
    """Do what uvicorn does with each connection when it stops."""
    while not application.connections:
        await asyncio.sleep(0)
    for connection in list(application.connections):
        connection.shutdown()


@pytest.mark.parametrize("arrived", [b"", REQUEST[:20], REQUEST[:-1]], ids=["nothing", "part", "head"])
async def test_a_stop_waits_for_a_request_that_is_on_its_way(
    application: Application, arrived: bytes
) -> None:
    async with serving(application) as connect:
        client = await connect()
        client.send(arrived)
        while arrived and not any(each._idle_since is None for each in application.connections):
            await asyncio.sleep(0)
        await stop(application)
        client.send(REQUEST[len(arrived) :])
        response = await client.reader.read()  # to the end: the connection is closed
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in response


async def test_a_stop_closes_idle_connections_at_once_and_unused_ones_soon(application: Application) -> None:
    async with serving(application) as connect:
        idle, unused, half = await connect(), await connect(), await connect()
        idle.send(REQUEST)
        await idle.reader.readuntil(b"abc")
        half.send(REQUEST[:20])
        while len(application.connections) < 3:
            await asyncio.sleep(0)
        await stop(application)
        assert await idle.reader.read() == b""
        assert await unused.reader.read() == b""
        assert await half.reader.read() == b""
