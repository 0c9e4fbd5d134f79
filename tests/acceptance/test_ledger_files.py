"""The files of the ledger are removed, replaced and damaged while a relay runs, and before it starts."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess, crm_rows, eventually

SETTINGS = """
[server]
port = 0
[ledger]
url = "sqlite:///data/relay.db"
[destinations.crm]
client = "local"
path = "crm.db"
"""


class Installation:
    """A relay, and the ids of the calls that it acknowledged."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.relay = RelayProcess(folder, SETTINGS, workers)
        self.workers = workers
        self.ledger = folder / "data" / "relay.db"
        self.acknowledged: list[str] = []
        self.sent = 0

    def send(self) -> int:
        self.sent += 1
        id_ = str(self.sent)
        response = self.relay.post({"event": "call.started", "data": {"id": id_, "notes": "x" * 3_000}})
        if response.status_code == 200:
            self.acknowledged.append(id_)
        return response.status_code

    def send_all(self, number: int) -> None:
        assert [self.send() for _ in range(number)] == [200] * number

    def readiness(self) -> dict[str, Any]:
        response = httpx.get(self.relay.url + "/readyz", trust_env=False, timeout=PATIENCE)
        body: dict[str, Any] = response.json()
        assert (response.status_code == 200) == (body == {"status": "ready"})
        return body

    def wait_until_unready(self) -> str:
        return str(eventually(self.readiness, lambda body: "problem" in body)["problem"])

    def log(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.relay.log_lines() if line["event"] == event]

    def wait_for_log(self, event: str, times: int) -> None:
        """Wait until each process has logged this event so many times."""
        eventually(lambda: len(self.log(event)), partial(eq, times * self.workers))

    def wait_until_complete(self) -> None:
        """Wait until the file of the ledger has all events without its WAL."""
        eventually(lambda: _count_events_without_wal(self.ledger), partial(eq, len(self.acknowledged)))

    def wait_until_delivered(self) -> None:
        wanted = {f"cloudtalk-{id_}" for id_ in self.acknowledged}
        eventually(
            lambda: wanted - crm_rows(self.relay.folder / "crm.db").keys(), lambda missing: not missing
        )


@pytest.fixture(params=[1, 2], ids=["one-process", "two-processes"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, request.param)
    installation.relay.start()
    installation.send_all(5)
    yield installation
    if installation.relay.process.poll() is None:
        installation.relay.kill()


def _count_events_without_wal(ledger: Path) -> int:
    with closing(sqlite3.connect(f"file:{ledger}?immutable=1", uri=True)) as connection:
        try:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
        except sqlite3.OperationalError:  # even the tables are in the WAL
            return 0
        return int(count)


@contextmanager
def _away(path: Path) -> Iterator[None]:
    away = path.with_name("away")
    path.rename(away)
    yield
    away.rename(path)


@contextmanager
def _replaced_by_copy(path: Path) -> Iterator[None]:
    original = path.with_name("original")
    path.rename(original)
    shutil.copy(original, path)
    yield
    original.replace(path)


def test_a_relay_without_its_files_acknowledges_nothing_until_they_are_back(installed: Installation) -> None:
    ledger = installed.ledger
    disturbances = (_replaced_by_copy(ledger), _away(ledger.with_name("relay.db-wal")))
    for number, disturbance in enumerate(disturbances, start=1):
        with disturbance:
            assert installed.send() == 503
            assert str(ledger) in installed.wait_until_unready()
            installed.wait_for_log("ledger.unusable", number)
        eventually(installed.readiness, lambda body: "problem" not in body)
        installed.send_all(2)
        installed.wait_for_log("ledger.usable", number)
    installed.relay.kill()
    installed.relay.start()
    installed.wait_until_delivered()


def test_what_was_acknowledged_is_kept_although_the_wal_was_removed(installed: Installation) -> None:
    installed.ledger.with_name("relay.db-wal").unlink()
    assert installed.send() == 503
    installed.wait_until_complete()
    installed.relay.kill()
    # There is no file yet if the WAL was removed before the first delivery.
    (installed.relay.folder / "crm.db").unlink(missing_ok=True)
    installed.relay.start()
    assert installed.relay.command("replay").returncode == 0
    installed.wait_until_delivered()


def test_a_truncated_ledger_is_refused_and_can_be_restored(installed: Installation) -> None:
    relay, backup = installed.relay, installed.relay.folder / "backup.db"
    relay.stop()
    shutil.copy(installed.ledger, backup)
    relay.start()
    installed.send_all(1)
    os.truncate(installed.ledger, installed.ledger.stat().st_size // 2)
    assert installed.send() == 503
    assert "relay ledger restore" in installed.wait_until_unready()
    installed.wait_for_log("ledger.unusable", 1)
    assert relay.stop() == 0
    relay.start()
    assert installed.send() == 503
    assert "relay ledger restore" in installed.wait_until_unready()
    installed.wait_for_log("ledger.unusable", 2)
    assert all("relay ledger restore" in line["problem"] for line in installed.log("ledger.unusable"))
    assert relay.stop() == 0
    installed.acknowledged.pop()  # in the damaged file only, which the restore keeps
    restored = relay.command("ledger", "restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    assert list(installed.ledger.parent.glob("relay.db.replaced-*"))
    relay.start()
    assert installed.send() == 200
    installed.wait_until_delivered()
