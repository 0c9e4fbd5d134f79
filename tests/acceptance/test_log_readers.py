"""A running relay whose log nobody reads any more."""

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import http_client
from tests.support.relay import RelayProcess, crm_rows, eventually

SETTINGS = '[server]\nport = 0\n[destinations.crm]\nclient = "local"\npath = "crm.db"\n'


class PipedRelay(RelayProcess):
    """A relay that logs to a pipe."""

    def __init__(self, folder: Path, **environment: str) -> None:
        super().__init__(folder, SETTINGS, **environment)
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        self.reader = os.fdopen(reading, "rb")
        self._process = subprocess.Popen(  # noqa: S603 - fixed command
            self._command_line("serve"), stdout=writing, env=self._environment
        )
        os.close(writing)
        while (line := json.loads(self.reader.readline()))["event"] != "server.ready":
            pass
        self.url = line["url"]


@contextmanager
def piped_relay(folder: Path, **environment: str) -> Iterator[PipedRelay]:
    relay = PipedRelay(folder, **environment)
    try:
        yield relay
    finally:
        relay.reader.close()
        relay.kill()


def send_calls(relay: RelayProcess, number: int) -> None:
    with http_client() as client:
        for index in range(number):
            body = {"event": "call.started", "data": {"id": str(index), "note": "x"}}
            client.post(f"{relay.url}/cloudtalk/webhook", json=body).raise_for_status()
    eventually(lambda: len(crm_rows(relay.folder / "crm.db")), lambda rows: rows == number)


@pytest.mark.parametrize(("is_closed", "unbuffered"), [(False, "1"), (True, "")])
def test_calls_are_received_and_delivered_while_nobody_reads_the_log(
    tmp_path: Path, *, is_closed: bool, unbuffered: str
) -> None:
    with piped_relay(tmp_path, PYTHONUNBUFFERED=unbuffered) as relay:
        if is_closed:
            relay.reader.close()
        send_calls(relay, 40)  # their lines are more than the pipe holds
        assert relay.stop(signal.SIGTERM) == 0


def test_all_lines_are_written_once_somebody_reads_again(tmp_path: Path) -> None:
    with piped_relay(tmp_path, PYTHONUNBUFFERED="") as relay:
        send_calls(relay, 40)
        relay.process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in relay.reader]
        assert relay.stop() == 0
    accepted = [line["call_id"] for line in lines if line["event"].startswith("CloudTalk")]
    assert accepted == [str(index) for index in range(40)]
    assert lines[-1]["event"] == "server.stopped"
