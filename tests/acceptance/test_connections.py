"""Connections to the real program, as a reverse proxy keeps and reuses them."""

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess, running_relay

BODY = json.dumps({"event": "call.started", "data": {"id": "1", "direction": "inbound"}}).encode()


def connect(relay: RelayProcess) -> socket.socket:
    url = urlsplit(relay.url)
    return socket.create_connection((url.hostname or "", url.port or 0), timeout=PATIENCE)


def post(connection: socket.socket, target: str) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(BODY)}\r\n\r\n"
    connection.sendall(head.encode() + BODY)
    received = b""
    while not received.endswith(b"}") and (chunk := connection.recv(65536)):
        received += chunk
    return received


@pytest.mark.parametrize(
    "target",
    ["//cloudtalk/webhook", "/cloudtalk//webhook//call.started", "http://127.0.0.1//cloudtalk/webhook"],
)
def test_doubled_slashes_reach_the_webhook(relay: RelayProcess, target: str) -> None:
    with closing(connect(relay)) as connection:
        assert b"cloudtalk-1" in post(connection, target)


def test_an_idle_connection_is_closed_after_the_seconds_of_the_settings(relay: RelayProcess) -> None:
    with closing(connect(relay)) as connection:
        assert b"cloudtalk-1" in post(connection, "/cloudtalk/webhook")
        assert connection.recv(1) == b""


def test_a_request_through_an_unconfigured_nginx_is_refused_without_tokens(relay: RelayProcess) -> None:
    # The bytes that nginx 1.22 sends with `proxy_pass http://127.0.0.1:8080;` and no other directive.
    head = (
        f"POST /cloudtalk/webhook HTTP/1.0\r\nHost: {urlsplit(relay.url).netloc}\r\nConnection: close\r\n"
        f"Content-Length: {len(BODY)}\r\nUser-Agent: Svix-Webhooks/1.81\r\nAccept: */*\r\n\r\n"
    )
    with closing(connect(relay)) as connection:
        connection.sendall(head.encode() + BODY)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"cloudtalk.tokens" in answer


def test_a_relay_without_tokens_logs_once_that_it_serves_this_machine_only(relay: RelayProcess) -> None:
    (line,) = [line for line in relay.log_lines() if line["event"] == "server.local_only"]
    assert line["hint"] == "set cloudtalk.tokens to accept requests of other machines"


def test_half_sent_requests_on_all_files_lock_nobody_out(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # of this process, which opens the connections
    relay = RelayProcess(tmp_path, "[server]\nport = 0\n")
    with ExitStack() as stack:
        relay.start(open_files=1024)
        stack.callback(relay.stop)
        for _ in range(1010):
            stack.enter_context(closing(connect(relay))).sendall(b"POST /cloudtalk/webhook HTTP/1.1\r\nHo")
        for _ in range(3):
            connection = stack.enter_context(closing(connect(relay)))
            assert b"cloudtalk-1" in post(connection, "/cloudtalk/webhook")
    lines = [line for line in relay.log_lines() if line["event"] == "server.connections_closed"]
    assert lines[0]["closed"] == {"unfinished": 1}
    assert len(lines) < 5


def test_an_endless_header_uses_no_memory(relay: RelayProcess) -> None:
    process = psutil.Process(relay.process.pid)
    before = process.memory_info().rss
    with closing(connect(relay)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-Header: ".ljust(65_536, b"x"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 431 ")
        with suppress(ConnectionError):  # the relay closes the connection soon
            for _ in range(1_000):
                connection.sendall(b"x" * 65_536)
    assert process.memory_info().rss - before < 30_000_000
    (line,) = [line for line in relay.log_lines() if line["event"] == "server.connections_closed"]
    assert line["closed"] == {"too_large": 1}


@pytest.fixture(scope="module", name="relay")
def relay_with_a_short_keep_alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    folder: Path = tmp_path_factory.mktemp("connections")
    with running_relay(folder, "[server]\nport = 0\nkeep_alive_seconds = 0.3\n") as process:
        yield process
