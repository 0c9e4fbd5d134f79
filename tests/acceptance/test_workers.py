"""`--workers`: several processes share one port and one ledger. A worker that dies is replaced."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import pytest

from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually

SETTINGS = """
[server]
port = 0
[ledger]
url = "{url}"
[destinations.crm]
client = "local"
path = "crm.db"
"""


class RelayWithWorkers(RelayProcess):
    """`relay serve --workers 3`."""

    def _command_line(self, *arguments: str) -> list[str]:
        return super()._command_line(*arguments, *(["--workers", "3"] if arguments == ("serve",) else []))

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}


@pytest.fixture
def relay(ledger_url: str, tmp_path: Path) -> Iterator[RelayWithWorkers]:
    relay = RelayWithWorkers(tmp_path, SETTINGS.format(url=ledger_url))
    try:
        relay.start()
        eventually(lambda: len(ready_urls(relay)), lambda number: number == 3)
        yield relay
    finally:
        if relay.process.poll() is None:
            relay.stop()


def is_replaced(dead: int, workers: set[int]) -> bool:
    return dead not in workers and len(workers) == 3


def ready_urls(relay: RelayWithWorkers) -> list[str]:
    return [line["url"] for line in relay.log_lines() if line["event"] == "server.ready"]


def send(relay: RelayWithWorkers, *calls: str) -> None:
    """Send one event per call, each over a new connection, so that any worker may accept it."""
    for call in calls:
        started = {"event": "call.started", "data": {"id": call}}
        response = httpx.post(relay.url + WEBHOOK_PATH, json=started, timeout=30, trust_env=False)
        assert response.status_code == 200


def wait_for_rows(relay: RelayWithWorkers, *calls: str) -> None:
    expected = {f"cloudtalk-{call}" for call in calls}
    eventually(lambda: crm_rows(relay.folder / "crm.db").keys(), lambda ids: expected <= ids, seconds=20)


def test_workers_share_one_port_and_stop_together(relay: RelayWithWorkers) -> None:
    assert len(set(ready_urls(relay))) == 1
    calls = [f"a{number}" for number in range(30)]
    send(relay, *calls)
    wait_for_rows(relay, *calls)
    assert relay.stop() == 0
    assert len([line for line in relay.log_lines() if line["event"] == "server.stopped"]) == 3


def test_a_killed_worker_is_replaced_and_another_continues_its_work(relay: RelayWithWorkers) -> None:
    send(relay, "before")
    wait_for_rows(relay, "before")
    for _ in range(3):  # one of the three has the fold's lease
        victim = min(relay.workers())
        os.kill(victim, signal.SIGKILL)
        eventually(relay.workers, partial(is_replaced, victim))
    eventually(lambda: len(ready_urls(relay)), lambda number: number == 6)
    send(relay, "after")
    wait_for_rows(relay, "after")
    died = [line["code"] for line in relay.log_lines() if line["event"] == "worker.died"]
    assert died == [-signal.SIGKILL] * 3


def test_workers_stop_when_their_supervisor_is_killed(relay: RelayWithWorkers) -> None:
    workers = [psutil.Process(pid) for pid in relay.workers()]
    relay.kill()
    assert psutil.wait_procs(workers, timeout=15)[1] == []


def test_an_unusable_ledger_ends_the_start_with_an_error(tmp_path: Path) -> None:
    relay = RelayWithWorkers(tmp_path, SETTINGS.format(url="postgresql://relay:hush@127.0.0.1:1/relay"))
    ended = relay.command("serve")
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "hush" not in ended.stderr
