"""Restored ledgers and CRMs, and a lost ledger, with real processes and real files."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.relay import RelayProcess, crm_rows, eventually

SETTINGS = """
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[destinations.crm]
client = "local"
path = "crm.db"
"""
CHANGED = """
[destinations.crm.labels]
completed = "Hecha"
[destinations.crm.constants]
origen = "CT"
"""
CALL = "cloudtalk-7"
EPOCH = 2**32


class Installation:
    """A relay with its ledger and its embedded CRM in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.relay = RelayProcess(folder, SETTINGS)

    def send(self, event: str, **data: Any) -> None:
        response = self.relay.post({"event": f"call.{event}", "data": {"id": "7", **data}})
        assert response.status_code == 200

    def wait_for(self, **columns: Any) -> dict[str, Any]:
        """Wait until the row of the call has these values."""

        def row() -> dict[str, Any]:
            return crm_rows(self.folder / "crm.db").get(CALL, {})

        return eventually(row, lambda found: all(found.get(name) == columns[name] for name in columns))

    def run(self, *arguments: str) -> str:
        """Run a command, which must succeed; return its output."""
        result = self.relay.command(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def restores(self) -> list[int]:
        """The epochs that starts began, by the log."""
        return [line["epoch"] for line in self.relay.log_lines() if line["event"] == "ledger.restored"]

    def changed_settings(self) -> list[dict[str, Any]]:
        return [
            each for each in json.loads(self.run("check", "--json")) if each["code"] == "changed_settings"
        ]

    def complete_call(self) -> None:
        self.relay.start()
        self.send("started", direction="inbound", **{"from": "+34600111222", "to": "+34910000001"})
        self.send("ended", talking_time=5, duration=9, contact_name="Ana", notes="first")
        self.wait_for(status="Completada", notes="first")


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    installation.complete_call()
    yield installation
    if installation.relay.process.poll() is None:
        installation.relay.stop()


def edit_row(installed: Installation, sql: str) -> None:
    """Change the CRM as a person does."""
    with closing(sqlite3.connect(installed.folder / "crm.db")) as crm:
        crm.execute(sql)
        crm.commit()


def tags_of(row: dict[str, Any]) -> Any:
    return json.loads(row["tags"])


@pytest.mark.parametrize("start", [{}, {"started_at": "2099-01-01T00:00:00Z"}])
def test_a_late_event_after_the_loss_of_the_ledger_shows_and_wipes_nothing(
    installed: Installation, start: dict[str, str]
) -> None:
    for number in range(3):  # the versions of the CRM are higher than those of a new ledger
        installed.send("modified", notes=f"note {number}")
        installed.wait_for(notes=f"note {number}")
    installed.relay.stop()
    before = installed.wait_for(notes="note 2")
    for file in installed.folder.glob("relay.db*"):
        file.unlink()
    installed.relay.start()
    installed.send("modified", tags=["late"], **start)
    after = installed.wait_for(tags='["late"]')
    kept = before.keys() - {"tags", "cloudtalkData", "version", "updated_at", *start}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    data = json.loads(before["cloudtalkData"]) | {"tags": ["late"]} | start
    assert json.loads(after["cloudtalkData"]) == data
    installed.send("modified", tags=["later"])
    assert installed.wait_for(tags='["later"]')["notes"] == "note 2"


def test_an_edit_after_the_crm_was_restored_writes_the_whole_record(installed: Installation) -> None:
    installed.relay.stop()
    shutil.copy(installed.folder / "crm.db", installed.folder / "copy.db")
    installed.relay.start()
    installed.send("modified", notes="later", tags=["later"])
    installed.wait_for(notes="later")
    installed.relay.stop()
    shutil.copy(installed.folder / "copy.db", installed.folder / "crm.db")
    installed.relay.start()
    installed.send("modified", contact_name="Ana Ruiz")
    row = installed.wait_for(contact_name="Ana Ruiz")
    assert (row["notes"], row["tags"], row["status"]) == ("later", '["later"]', "Completada")
    edit_row(installed, "UPDATE calls SET notes = 'by a person'")
    installed.send("modified", tags=["last"])
    assert installed.wait_for(tags='["last"]')["notes"] == "by a person"


def test_changes_after_a_ledger_was_copied_back_show_in_the_crm(installed: Installation) -> None:
    installed.relay.stop()
    shutil.copy(installed.folder / "relay.db", installed.folder / "copy.db")
    installed.relay.start()
    for number in range(3):
        installed.send("modified", notes=f"note {number}")
        installed.wait_for(notes=f"note {number}")
    installed.relay.stop()
    shutil.copy(installed.folder / "copy.db", installed.folder / "relay.db")
    installed.relay.start()
    assert installed.restores() == [1]
    installed.send("modified", tags=["after"])
    row = installed.wait_for(tags='["after"]', notes="note 2")
    assert row["version"] == EPOCH + 1
    installed.relay.stop()
    installed.relay.start()  # a start without a restore begins no epoch
    assert installed.restores() == [1]


def test_backup_and_restore_of_a_ledger(installed: Installation) -> None:
    backup = installed.folder / "backup.db"
    installed.run("ledger", "backup", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    for number in range(3):
        installed.send("modified", notes=f"note {number}")
        installed.wait_for(notes=f"note {number}")
    refused = installed.relay.command("ledger", "restore", str(backup))
    assert (refused.returncode, f"process {installed.relay.process.pid} uses" in refused.stderr) == (1, True)
    installed.relay.stop()
    (installed.folder / "damaged.db").write_bytes(backup.read_bytes()[:5_000])
    damaged = installed.relay.command("ledger", "restore", str(installed.folder / "damaged.db"))
    assert damaged.returncode == 1
    installed.run("ledger", "restore", str(backup))
    assert list(installed.folder.glob("relay.db.replaced-*"))
    installed.relay.start()
    assert installed.restores() == []
    # The ledger knows nothing of the notes of before; `replay` makes it decide.
    assert installed.wait_for(status="Completada")["notes"] == "note 2"
    installed.run("replay")
    assert installed.wait_for(notes="first")["version"] == EPOCH + 1
    installed.send("modified", notes="new")
    assert installed.wait_for(notes="new")["version"] == EPOCH + 2
    installed.run("ledger", "vacuum")


def test_replay_brings_a_restored_crm_to_the_newest_version(installed: Installation) -> None:
    installed.relay.stop()
    shutil.copy(installed.folder / "crm.db", installed.folder / "copy.db")
    installed.relay.start()
    installed.send("modified", notes="second", tags=["new"])
    newest = installed.wait_for(notes="second")
    installed.relay.stop()
    for suffix in ("-wal", "-shm"):
        (installed.folder / f"crm.db{suffix}").unlink(missing_ok=True)
    shutil.copy(installed.folder / "copy.db", installed.folder / "crm.db")
    assert installed.wait_for(notes="first")
    installed.relay.start()
    installed.run("replay")
    assert installed.wait_for(notes="second") == newest | {
        "updated_at": installed.wait_for(notes="second")["updated_at"]
    }


def test_changed_labels_fields_and_constants_are_reported_and_replayed(installed: Installation) -> None:
    assert installed.changed_settings() == []
    installed.relay.stop()
    (installed.folder / "settings.toml").write_text(SETTINGS + CHANGED)
    installed.run("setup", "crm")
    installed.relay.start()
    installed.send("modified", tags=["x"])  # a push of other fields keeps the old label
    assert installed.wait_for(tags='["x"]')["status"] == "Completada"
    (finding,) = installed.changed_settings()
    assert (finding["ok"], finding["problem"][-1]) == (True, "1")
    installed.run("replay", "--changed-settings")
    assert installed.wait_for(status="Hecha")["origen"] == "CT"
    result = json.loads(installed.run("replay", "--changed-settings", "--json"))
    assert result["calls"] == 0
