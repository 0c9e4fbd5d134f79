"""A restart behind a socket that the service manager keeps open refuses no request and loses no event."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.debian import require_program
from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually
from tests.support.servers import free_port

SETTINGS = """
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[destinations.crm]
client = "local"
path = "crm.db"
"""
SENDERS = 4


class Senders:
    """Threads that post one event after the other, each over a new connection, and repeat nothing."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self._url = url
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in self._threads:
                thread.join(PATIENCE)

    def _send(self, sender: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            call = f"{sender}-{number}"
            body = {"event": "call.started", "data": {"id": call, "direction": "inbound"}}
            try:
                response = httpx.post(
                    self._url, json=body, timeout=PATIENCE, trust_env=False, headers={"connection": "close"}
                )
            except httpx.HTTPError as error:
                self.failures.append(f"{call}: {error!r}")
            else:
                (self.acknowledged if response.status_code == 200 else self.failures).append(call)
            self._is_over.wait(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_refuses_nobody(tmp_path: Path, workers: int) -> None:
    relay = RelayProcess(tmp_path, SETTINGS, workers)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        relay.listening = listening
        senders = Senders(f"http://127.0.0.1:{listening.getsockname()[1]}{WEBHOOK_PATH}")
        try:
            relay.start()
            with senders.running():
                for _ in range(2):
                    wanted = len(senders.acknowledged) + 20
                    eventually(lambda: len(senders.acknowledged), wanted.__lt__)
                    assert relay.stop() == 0
                    relay.start()
            assert senders.failures == []
            expected = {f"cloudtalk-{call}" for call in senders.acknowledged}
            assert len(expected) > 40
            rows: dict[str, Any] = eventually(
                lambda: crm_rows(tmp_path / "crm.db"), lambda rows: len(rows) == len(expected)
            )
            assert rows.keys() == expected
        finally:
            relay.stop()


def test_the_socket_of_systemd_itself_is_served(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "settings.toml").write_text(SETTINGS)
    activate = require_program("systemd-socket-activate", package="systemd")
    line = [activate, "-l", f"127.0.0.1:{port}", sys.executable, "-m", "relay", "serve", "--workers", "2"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:  # noqa: S603
        try:
            assert process.stderr is not None
            assert b"Listening on" in process.stderr.readline()
            # systemd starts the relay at the first connection, which waits meanwhile.
            url = f"http://127.0.0.1:{port}/readyz"
            ready = eventually(
                lambda: httpx.get(url, timeout=PATIENCE, trust_env=False).status_code,
                lambda code: code == 200,
            )
            assert ready == 200
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
