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

from crm_clients.supabase.settings import KV_TABLE
from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.fakes.hubspot import TOKEN, RunningHubSpot, running_hubspot
from tests.fakes.hubspot_records import Record
from tests.support.history_calls import PastCall, past_calls
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase

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
    """A CRM, and what happens to it behind the back of the relay. `has_versions`: its records have one."""

    destination: str
    has_versions = True

    @abstractmethod
    def ids(self) -> list[str]:
        """The ids of all records, as the relay writes them."""

    @abstractmethod
    def delete(self, call: PastCall) -> None:
        """Delete the record of a call."""

    @abstractmethod
    def copy(self, call: PastCall) -> None:
        """Add a copy of the record under the id that its call would have by its call_id."""

    @abstractmethod
    def edit(self, call: PastCall) -> None:
        """Change the name of the contact, as a person does."""

    @abstractmethod
    def contact(self, call: PastCall) -> str:
        """The name of the contact."""

    def set_back(self, call: PastCall) -> None:
        """Let the record have an older version, as after a restore."""
        raise NotImplementedError


def record_id(call: PastCall) -> str:
    return f"cloudtalk-{call.call_uuid}"


def copy_id(call: PastCall) -> str:
    return f"cloudtalk-{call.call_id}"


class LocalCrm(Crm):
    """The embedded CRM."""

    destination = 'client = "local"\npath = "crm.db"'

    def __init__(self, folder: Path) -> None:
        self._path = folder / "crm.db"

    def ids(self) -> list[str]:
        return sorted(crm_rows(self._path))

    def delete(self, call: PastCall) -> None:
        self._execute("DELETE FROM calls WHERE id = ?", record_id(call))

    def copy(self, call: PastCall) -> None:
        self.insert({**self.row(record_id(call)), "id": copy_id(call)})

    def row(self, id_: str) -> dict[str, Any]:
        return crm_rows(self._path)[id_]

    def insert(self, values: dict[str, Any]) -> None:
        marks = ", ".join("?" for _ in values)
        names = ", ".join(f'"{name}"' for name in values)
        self._execute(f"INSERT INTO calls ({names}) VALUES ({marks})", *values.values())  # noqa: S608

    def edit(self, call: PastCall) -> None:
        self._execute("UPDATE calls SET contact_name = 'by hand' WHERE id = ?", record_id(call))

    def contact(self, call: PastCall) -> str:
        return str(crm_rows(self._path)[record_id(call)]["contact_name"])

    def set_back(self, call: PastCall) -> None:
        self._execute("UPDATE calls SET version = 1 WHERE id = ?", record_id(call))

    def _execute(self, sql: str, *values: Any) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            assert connection.execute(sql, values).rowcount == 1


class TableCrm(Crm):
    """A table behind a real PostgREST."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase
        self.destination = f'client = "supabase"\nurl = "{supabase.url}"\nkey = "{supabase.key}"'

    def ids(self) -> list[str]:
        return [row["id"] for row in self._supabase.rows()]

    def delete(self, call: PastCall) -> None:
        self._execute(f"delete from calls where id = '{record_id(call)}'")  # noqa: S608

    def copy(self, call: PastCall) -> None:
        self._execute(
            f'insert into calls select (jsonb_populate_record(c, \'{{"id": "{copy_id(call)}"}}\')).* '  # noqa: S608
            f"from calls c where id = '{record_id(call)}'"
        )

    def edit(self, call: PastCall) -> None:
        self._execute(f"update calls set contact_name = 'by hand' where id = '{record_id(call)}'")  # noqa: S608

    def contact(self, call: PastCall) -> str:
        return next(str(row["contact_name"]) for row in self._supabase.rows() if row["id"] == record_id(call))

    def set_back(self, call: PastCall) -> None:
        self._execute(
            "begin; set local session_replication_role = replica; "  # noqa: S608
            f"update calls set version = 1 where id = '{record_id(call)}'; commit"
        )

    def _execute(self, sql: str) -> None:
        self._supabase.execute(sql)


class KvCrm(Crm):
    """A table of keys and values behind a real PostgREST."""

    has_versions = False
    _prefix = "llamada:"

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase
        supabase.execute(f"truncate {KV_TABLE}")
        self.destination = (
            f'client = "supabase"\nurl = "{supabase.url}"\nkey = "{supabase.key}"\nlayout = "kv"'
        )

    def ids(self) -> list[str]:
        keys = (key for key in self._supabase.values() if key.startswith(self._prefix))
        return sorted(key.removeprefix(self._prefix) for key in keys)

    def delete(self, call: PastCall) -> None:
        self._supabase.execute(f"delete from {KV_TABLE} where key = '{self._prefix}{record_id(call)}'")  # noqa: S608

    def copy(self, call: PastCall) -> None:
        self._supabase.put({self._prefix + copy_id(call): self._value(call)})

    def edit(self, call: PastCall) -> None:
        self._supabase.put({self._prefix + record_id(call): self._value(call) | {"clienteNombre": "by hand"}})

    def contact(self, call: PastCall) -> str:
        return str(self._value(call)["clienteNombre"])

    def _value(self, call: PastCall) -> dict[str, Any]:
        value: dict[str, Any] = self._supabase.values()[self._prefix + record_id(call)]
        return value


class HubSpotCrm(Crm):
    """A fake HubSpot account. People edit the text of a call."""

    has_versions = False

    def __init__(self, running: RunningHubSpot) -> None:
        running.hubspot.create_relay_properties()
        self._calls = running.hubspot.calls
        self.destination = (
            f'client = "hubspot"\ntoken = "{TOKEN}"\nbase_url = "{running.url}"\ncontacts = "off"\n'
            "follow_up_tasks = false\nrate = 100"
        )

    def ids(self) -> list[str]:
        return sorted(each["cloudtalk_call_id"] for each in self._calls)

    def delete(self, call: PastCall) -> None:
        del self._calls.records[self._record(call).id]

    def copy(self, call: PastCall) -> None:
        self._calls.add(**self._record(call).properties | {"cloudtalk_call_id": copy_id(call)})

    def edit(self, call: PastCall) -> None:
        self._record(call).properties["hs_call_title"] = "by hand"

    def contact(self, call: PastCall) -> str:
        return self._record(call).properties["hs_call_title"]

    def _record(self, call: PastCall) -> Record:
        return self._calls.get_one(cloudtalk_call_id=record_id(call))


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
        eventually(crm.ids, lambda ids: len(ids) == CALLS - 1)
        eventually(lambda: pending(relay), lambda number: number == 0)
        yield relay


def pending(relay: RelayProcess) -> int:
    status = json.loads(relay.command("status", "--json").stdout)
    return sum(each["pending"] for each in status["destinations"])


def check_audits(relay: RelayProcess, crm: Crm, calls: list[PastCall]) -> None:
    """Spoil the CRM, and see that all of it is found, repaired or named."""
    unannounced, deleted, copied, edited, old = calls[:5]
    first = audit(relay, "--dry-run")
    assert (first["cloudtalk"]["unknown"], first["crms"]["crm"]["right"]) == (1, CALLS - 1), first
    # The history states names of contacts, which the webhooks did not.
    filled = audit(relay)
    assert (filled["good"], filled["cloudtalk"]["unknown"], filled["only_here"]) == (True, 1, 0), filled
    assert filled["cloudtalk"]["incomplete"] == CALLS - 1
    assert named(filled)[copy_id(unannounced), "unknown"][0]
    eventually(lambda: pending(relay), lambda number: number == 0)
    assert len(crm.ids()) == CALLS

    crm.delete(deleted)
    crm.copy(copied)
    crm.edit(edited)
    if crm.has_versions:
        crm.set_back(old)
    lost = 2 if crm.has_versions else 1
    only_compared = audit(relay, "--dry-run")
    assert only_compared["for_person"] == lost + 1, only_compared
    assert record_id(deleted) not in crm.ids()

    found = audit(relay)
    side = found["crms"]["crm"]
    kinds = ("missing", "outdated", "doubled", "changed", "repaired")
    assert [side[kind] for kind in kinds] == [1, lost - 1, 1, 1, lost], found
    assert side["right"] == CALLS - 2 - lost
    assert (found["good"], found["for_person"], found["unproven"]) == (False, 1, [])
    by_call = named(found)
    assert by_call[record_id(deleted), "missing"][0]
    assert not crm.has_versions or by_call[record_id(old), "outdated"][0]
    assert len(by_call[record_id(copied), "doubled"][1]) == 2
    assert not by_call[record_id(edited), "changed"][0]

    eventually(lambda: pending(relay), lambda number: number == 0)
    eventually(crm.ids, lambda ids: record_id(deleted) in ids)
    assert len(crm.ids()) == CALLS + 1  # the relay deletes no copy
    assert crm.contact(edited) == "by hand"
    again = audit(relay)
    assert again["repaired"] == 0, again
    assert sorted(each["kind"] for each in again["findings"]) == ["changed", "doubled"]
    check_removed_record(relay, crm, deleted)


def check_removed_record(relay: RelayProcess, crm: Crm, call: PastCall) -> None:
    """Delete the record again that an audit had written again: it stays deleted until a replay."""
    crm.delete(call)
    removed = audit(relay)
    side = removed["crms"]["crm"]
    assert (side["removed"], side["missing"], side["repaired"], removed["for_person"]) == (1, 0, 0, 1), (
        removed
    )
    assert named(removed)[record_id(call), "removed"] == (False, [])
    assert (pending(relay), record_id(call) in crm.ids()) == (0, False)
    assert relay.command("replay", "--call", record_id(call)).returncode == 0
    eventually(crm.ids, lambda ids: record_id(call) in ids)
    eventually(lambda: pending(relay), lambda number: number == 0)


def check_forgotten_call(relay: RelayProcess, crm: LocalCrm, call: PastCall) -> None:
    """Restore the record of a call in the CRM after `relay forget`."""
    row = crm.row(copy_id(call))
    assert relay.command("forget", call.call_id, "--yes").returncode == 0
    assert copy_id(call) not in crm.ids()
    crm.insert(row)
    found = audit(relay)
    assert (found["crms"]["crm"]["forgotten"], found["crms"]["crm"]["repaired"]) == (1, 1), found
    assert call.call_id not in json.dumps(found)
    eventually(crm.ids, lambda ids: copy_id(call) not in ids)
    assert audit(relay)["crms"]["crm"]["forgotten"] == 0


def test_the_embedded_crm(
    tmp_path: Path, cloudtalk: FakeHistory, calls: list[PastCall], ledger_url: str
) -> None:
    crm = LocalCrm(tmp_path)
    with day_of_calls(tmp_path, settings(cloudtalk, ledger_url, crm), calls, crm) as relay:
        check_audits(relay, crm, calls)
        check_forgotten_call(relay, crm, calls[0])
    # Without a relay the next one writes what was repaired.
    crm.delete(calls[7])
    result = audit(relay)
    assert result["crms"]["crm"]["repaired"] == 1
    assert record_id(calls[7]) not in crm.ids()
    with running_relay(tmp_path, settings(cloudtalk, ledger_url, crm)):
        eventually(crm.ids, lambda ids: record_id(calls[7]) in ids)


@pytest.mark.parametrize("layout", [TableCrm, KvCrm])
def test_a_real_postgrest(
    tmp_path: Path,
    cloudtalk: FakeHistory,
    calls: list[PastCall],
    supabase: Supabase,
    layout: type[TableCrm] | type[KvCrm],
) -> None:
    crm = layout(supabase)
    text = settings(cloudtalk, "sqlite:///relay.db", crm)
    with day_of_calls(tmp_path, text, calls, crm) as relay:
        check_audits(relay, crm, calls)


def test_hubspot(tmp_path: Path, cloudtalk: FakeHistory, calls: list[PastCall]) -> None:
    with running_hubspot() as running:
        crm = HubSpotCrm(running)
        text = settings(cloudtalk, "sqlite:///relay.db", crm)
        with day_of_calls(tmp_path, text, calls, crm) as relay:
            check_audits(relay, crm, calls)
