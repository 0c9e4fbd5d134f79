"""`relay audit` with real relays and CRMs: what was lost, doubled or changed behind its back is found.

The calls are of the day before. All but one came by webhook; CloudTalk's history knows all of them.
"""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.history_calls import PastCall, past_calls
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay

SETTINGS = """
[server]
port = 0
[ledger]
url = "{ledger}"
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{url}/api"
analytics_url = "{url}/analytics"
requests_per_minute = 60
[destinations.crm]
{destination}
"""
CALLS = 40
NEWEST = datetime.now(UTC) - timedelta(hours=5)
SINCE = (NEWEST - timedelta(days=2)).date().isoformat()


class Crm(ABC):
    """A CRM, and what happens to it behind the back of the relay. Calls are named by their call_id."""

    destination: str

    @abstractmethod
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The records of each call, as they are in the CRM."""

    @abstractmethod
    def delete(self, call_id: str) -> None:
        """Delete the record of a call."""

    @abstractmethod
    def copy(self, call_id: str) -> None:
        """Add a copy of the record under another id."""

    @abstractmethod
    def edit(self, call_id: str) -> None:
        """Change the notes of the record, as a person does."""

    @abstractmethod
    def notes(self, call_id: str) -> str:
        """The notes of the record."""

    @abstractmethod
    def set_back(self, call_id: str) -> None:
        """Let the record have an older version, as after a restore."""


class LocalCrm(Crm):
    """The embedded CRM."""

    destination = 'client = "local"\npath = "crm.db"'

    def __init__(self, folder: Path) -> None:
        self._path = folder / "crm.db"

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return by_call_id(crm_rows(self._path).values())

    def delete(self, call_id: str) -> None:
        self._execute("DELETE FROM calls WHERE call_id = ?", call_id)

    def copy(self, call_id: str) -> None:
        (row,) = self.rows()[call_id]
        values = {**row, "id": "copy-by-hand"}
        marks = ", ".join("?" for _ in values)
        names = ", ".join(f'"{name}"' for name in values)
        self._execute(f"INSERT INTO calls ({names}) VALUES ({marks})", *values.values())  # noqa: S608

    def edit(self, call_id: str) -> None:
        self._execute("UPDATE calls SET notes = 'by hand' WHERE call_id = ?", call_id)

    def notes(self, call_id: str) -> str:
        (row,) = self.rows()[call_id]
        return str(row["notes"])

    def set_back(self, call_id: str) -> None:
        self._execute("UPDATE calls SET version = 0, status = 'En Progreso' WHERE call_id = ?", call_id)

    def _execute(self, sql: str, *values: Any) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            assert connection.execute(sql, values).rowcount == 1


def by_call_id(rows: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["call_id"]), []).append(row)
    return found


@pytest.fixture
def calls() -> list[PastCall]:
    return past_calls(CALLS, NEWEST, seconds_apart=900, people=17)


@pytest.fixture
def cloudtalk(calls: list[PastCall]) -> Iterator[FakeHistory]:
    fake = FakeHistory(call.row() for call in calls)
    fake.uuids = {call.call_id: call.call_uuid for call in calls}
    with threaded_history(fake):
        yield fake


def settings(cloudtalk: FakeHistory, ledger: str, crm: Crm) -> str:
    return SETTINGS.format(url=cloudtalk.url, ledger=ledger, destination=crm.destination)


def audit(relay: RelayProcess, *more: str) -> dict[str, Any]:
    done = relay.command("audit", "--since", SINCE, "--json", *more)
    assert done.returncode in {0, 1}, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if result["good"] else 1)
    return result


def named(result: dict[str, Any]) -> dict[tuple[str, str], tuple[bool, list[str]]]:
    return {(each["call"], each["kind"]): (each["repaired"], each["details"]) for each in result["findings"]}


@contextmanager
def day_of_calls(folder: Path, text: str, calls: list[PastCall], crm: Crm) -> Iterator[RelayProcess]:
    """A relay that has delivered all calls but the first one."""
    with running_relay(folder, text) as relay:
        events = [call.ended("call_uuid", "call_id") for call in calls[1:]]
        assert relay.post(events).status_code == 200
        eventually(crm.rows, lambda rows: len(rows) == CALLS - 1)
        eventually(lambda: pending(relay), lambda number: number == 0)
        yield relay


def pending(relay: RelayProcess) -> int:
    status = json.loads(relay.command("status", "--json").stdout)
    return sum(each["pending"] for each in status["destinations"])


def record_id(call: PastCall) -> str:
    return f"cloudtalk-{call.call_uuid}"


def check_audits(relay: RelayProcess, crm: Crm, calls: list[PastCall]) -> None:
    """Spoil the CRM, and see that all of it is found, repaired or named."""
    unannounced, deleted, copied, edited, old = calls[:5]
    first = audit(relay, "--dry-run")
    assert (first["cloudtalk"]["unknown"], first["crms"]["crm"]["right"]) == (1, CALLS - 1), first
    # The history states names of contacts, which the webhooks did not.
    filled = audit(relay)
    assert (filled["good"], filled["cloudtalk"]["unknown"], filled["only_here"]) == (True, 1, 0), filled
    assert filled["cloudtalk"]["incomplete"] == CALLS - 1
    assert named(filled)["cloudtalk-" + unannounced.call_id, "unknown"][0]
    eventually(lambda: pending(relay), lambda number: number == 0)
    assert len(crm.rows()) == CALLS

    crm.delete(deleted.call_id)
    crm.copy(copied.call_id)
    crm.edit(edited.call_id)
    crm.set_back(old.call_id)
    only_compared = audit(relay, "--dry-run")
    assert only_compared["for_person"] == 3, only_compared
    assert deleted.call_id not in crm.rows()

    found = audit(relay)
    side = found["crms"]["crm"]
    assert {kind: side[kind] for kind in ("missing", "outdated", "doubled", "changed", "repaired")} == {
        "missing": 1,
        "outdated": 1,
        "doubled": 1,
        "changed": 1,
        "repaired": 2,
    }, found
    assert (found["good"], found["for_person"], found["unproven"]) == (False, 1, [])
    by_call = named(found)
    assert by_call[record_id(deleted), "missing"][0]
    assert by_call[record_id(old), "outdated"][0]
    assert len(by_call[record_id(copied), "doubled"][1]) == 2
    assert by_call[record_id(edited), "changed"] == (False, ["notes"])

    eventually(lambda: pending(relay), lambda number: number == 0)
    rows = crm.rows()
    assert len(rows) == CALLS
    assert len(rows[copied.call_id]) == 2  # the relay deletes nothing
    assert crm.notes(edited.call_id) == "by hand"
    again = audit(relay)
    assert again["repaired"] == 0, again
    assert [each["kind"] for each in again["findings"]] in (["changed", "doubled"], ["doubled", "changed"])


def test_the_embedded_crm(
    tmp_path: Path, cloudtalk: FakeHistory, calls: list[PastCall], ledger_url: str
) -> None:
    crm = LocalCrm(tmp_path)
    with day_of_calls(tmp_path, settings(cloudtalk, ledger_url, crm), calls, crm) as relay:
        check_audits(relay, crm, calls)
    # Without a relay the next one writes what was repaired.
    crm.delete(calls[7].call_id)
    result = audit(relay)
    assert result["crms"]["crm"]["repaired"] == 1
    assert calls[7].call_id not in crm.rows()
    with running_relay(tmp_path, settings(cloudtalk, ledger_url, crm)):
        eventually(crm.rows, lambda rows: calls[7].call_id in rows)
