"""The HTTP server of one process: its port, its signals, its exit code."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from relay import __version__
from relay.server.server import PortError, Server, bind, new_event_loop
from tests.support.patience import PATIENCE


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with closing(bind("127.0.0.1", 0)) as bound:
        yield bound


# --- the port -------------------------------------------------------------------------------------


def test_port_0_takes_a_free_port(listening: socket.socket) -> None:
    host, port = listening.getsockname()
    assert host == "127.0.0.1"
    assert port > 1023
    with closing(bind("127.0.0.1", 0)) as other:
        assert other.getsockname()[1] != port


def test_a_client_can_connect_to_the_port(listening: socket.socket) -> None:
    with closing(socket.create_connection(listening.getsockname(), timeout=PATIENCE)) as connected:
        assert connected.getpeername() == listening.getsockname()


def test_an_ipv6_address_can_be_used() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with closing(bind("::1", 0)) as bound:
        assert bound.family == socket.AF_INET6


def test_the_error_for_a_port_in_use_says_what_to_do(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    with pytest.raises(PortError) as caught:
        bind("127.0.0.1", port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; stop the program that uses it,"
        " or set server.port (RELAY__SERVER__PORT) to another port, or to 0 for a free one"
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.1"])
def test_the_error_for_a_foreign_host_says_what_to_do(host: str) -> None:
    with pytest.raises(PortError) as caught:
        bind(host, 8080)
    message = str(caught.value)
    assert message.startswith(f"cannot listen on {host}:8080: ")
    assert message.endswith("set server.host (RELAY__SERVER__HOST) to a name or address of this machine")
    assert "attempting" not in message


def test_the_error_for_a_privileged_port_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", forbidden)
    with pytest.raises(PortError, match=r":80: Permission denied; ports below 1024 .* server\.port"):
        bind("127.0.0.1", 80)


# --- start and stop -------------------------------------------------------------------------------


async def wait_until_started(server: Server) -> None:
    while not server.started:
        await asyncio.sleep(0)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_the_server_logs_that_it_is_ready_and_stops_on_a_signal(
    listening: socket.socket, sent: signal.Signals, code: int
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    server = Server(Starlette(), "http://relay.example", keep_alive_seconds=75)
    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE):
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await wait_until_started(server)
            assert lines == [
                {
                    "event": "server.ready",
                    "log_level": "info",
                    "url": "http://relay.example",
                    "version": __version__,
                }
            ]
            os.kill(os.getpid(), sent)
            await serving
    assert [line["event"] for line in lines] == ["server.ready", "server.stopping", "server.stopped"]
    assert server.exit_code == code
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_process_without_a_port_runs_its_components_until_a_signal() -> None:
    running = list[str]()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running.append("started")
        yield
        running.append("stopped")

    server = Server(Starlette(lifespan=lifespan), None, keep_alive_seconds=75)
    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE):
            serving = asyncio.create_task(server.serve(sockets=[]))
            await wait_until_started(server)
            assert running == ["started"]
            os.kill(os.getpid(), signal.SIGTERM)
            await serving
    assert running == ["started", "stopped"]
    assert [line["event"] for line in lines] == ["worker.ready", "server.stopping", "server.stopped"]
    assert (lines[0]["worker"], lines[0]["version"]) == (os.getpid(), __version__)
    assert server.exit_code == 0


@pytest.mark.parametrize(
    ("request_head", "status"), [(b"GET / HTTP/1.1\r\n\r\n", b"404"), (b"no HTTP\r\n", b"400")]
)
async def test_every_response_has_the_headers_that_limit_a_browser(
    listening: socket.socket, request_head: bytes, status: bytes
) -> None:
    server = Server(Starlette(), "http://relay.example", keep_alive_seconds=75)
    async with asyncio.timeout(PATIENCE):
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await wait_until_started(server)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(request_head)
        lines = (await reader.readuntil(b"\r\n\r\n")).splitlines()
        writer.close()
        server.should_exit = True
        await serving
    assert lines[0].split()[1] == status
    assert {
        b"x-content-type-options: nosniff",
        b"content-security-policy: default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        b"cache-control: no-store",
    } <= set(lines)


async def test_a_request_in_flight_is_answered_before_the_end(listening: socket.socket) -> None:
    requested, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        requested.set()
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    stopping = asyncio.Event()
    server = Server(slow, "http://relay.example", keep_alive_seconds=75, on_stop=stopping.set)
    async with asyncio.timeout(PATIENCE):
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await wait_until_started(server)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        await requested.wait()
        server.should_exit = True
        await stopping.wait()  # other components stop before the request is answered
        while listening.fileno() != -1:  # the server closes its port, and then waits for the request
            await asyncio.sleep(0)
        may_answer.set()
        response = await reader.read()
        writer.close()
        await serving
    assert response.startswith(b"HTTP/1.1 204")
    assert b"server:" not in response.lower()


async def test_an_idle_connection_is_closed_after_the_keep_alive(listening: socket.socket) -> None:
    server = Server(Starlette(), "http://relay.example", keep_alive_seconds=0.05)
    async with asyncio.timeout(PATIENCE):
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await wait_until_started(server)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        response = await reader.read()
        writer.close()
        server.should_exit = True
        await serving
    assert response.startswith(b"HTTP/1.1 404")


async def test_the_exit_code_is_1_if_the_application_cannot_start(listening: socket.socket) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no"})

    server = Server(broken, "http://relay.example", keep_alive_seconds=75)
    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE):
            await server.serve(sockets=[listening])
    assert server.exit_code == 1
    assert "server.ready" not in [line["event"] for line in lines]


def test_the_event_loop_is_uvloops() -> None:
    loop = new_event_loop()
    loop.close()
    assert type(loop).__module__.partition(".")[0] == "uvloop"


EARLY_SIGHUP = """
import asyncio, os, signal
from starlette.applications import Starlette
from relay.server.server import Server, bind, block_sighup

async def main():
    async def reload():
        server.should_exit = True
    server = Server(Starlette(), "http://relay.example", keep_alive_seconds=75, on_reload=reload)
    async with asyncio.timeout(60):
        await server.serve(sockets=[bind("127.0.0.1", 0)])

block_sighup()
os.kill(os.getpid(), signal.SIGHUP)
asyncio.run(main())
"""


def test_a_sighup_during_the_start_is_handled_after_it() -> None:
    command = [sys.executable, "-c", EARLY_SIGHUP]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stderr
