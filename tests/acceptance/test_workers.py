"""Several processes share one port and one ledger: one dies and nobody notices, all stop as one."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it bears no types, and little of it is used
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


class Several(RelayProcess):
    """`relay serve --workers 3`."""

    def _command_line(self, *arguments: str) -> list[str]:
        return super()._command_line(*arguments, *(["--workers", "3"] if arguments == ("serve",) else []))

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}


@pytest.fixture
def relay(ledger_url: str, tmp_path: Path) -> Iterator[Several]:
    relay = Several(tmp_path, SETTINGS.format(url=ledger_url))
    try:
        relay.start()
        eventually(lambda: len(ready(relay)), lambda number: number == 3)
        yield relay
    finally:
        if relay.process.poll() is None:
            relay.stop()


def replaced(gone: int, now: set[int]) -> bool:
    return gone not in now and len(now) == 3


def ready(relay: Several) -> list[str]:
    return [line["url"] for line in relay.log_lines() if line["event"] == "server.ready"]


def send(relay: Several, *calls: str) -> None:
    """Each over a connection of its own, so that any of them may take it."""
    for call in calls:
        started = {"event": "call.started", "data": {"id": call}}
        answer = httpx.post(relay.url + WEBHOOK_PATH, json=started, timeout=30, trust_env=False)
        assert answer.status_code == 200


def brought(relay: Several, *calls: str) -> None:
    wanted = {f"cloudtalk-{call}" for call in calls}
    eventually(lambda: crm_rows(relay.folder / "crm.db").keys(), lambda ids: wanted <= ids, seconds=20)


def test_they_share_the_work_and_stop_as_one(relay: Several) -> None:
    assert len(set(ready(relay))) == 1
    calls = [f"a{number}" for number in range(30)]
    send(relay, *calls)
    brought(relay, *calls)
    assert relay.stop() == 0
    assert len([line for line in relay.log_lines() if line["event"] == "server.stopped"]) == 3


def test_one_that_is_killed_is_replaced_and_another_does_its_work(relay: Several) -> None:
    send(relay, "before")
    brought(relay, "before")
    for _ in range(3):  # the fold's holder is among those that go
        victim = min(relay.workers())
        os.kill(victim, signal.SIGKILL)
        eventually(relay.workers, partial(replaced, victim))
    eventually(lambda: len(ready(relay)), lambda number: number == 6)
    send(relay, "after")
    brought(relay, "after")
    died = [line["code"] for line in relay.log_lines() if line["event"] == "worker.died"]
    assert died == [-signal.SIGKILL] * 3


def test_without_the_one_that_started_them_they_stop(relay: Several) -> None:
    workers = [psutil.Process(pid) for pid in relay.workers()]
    relay.kill()
    assert psutil.wait_procs(workers, timeout=15)[1] == []


def test_a_ledger_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    relay = Several(tmp_path, SETTINGS.format(url="postgresql://relay:hush@127.0.0.1:1/relay"))
    ended = relay.command("serve")
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "hush" not in ended.stderr
