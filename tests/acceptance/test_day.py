"""A call centre's day: 2 000 calls in every shape, doubled and out of order, in five CRMs at once.

Each CRM ends with one right record for each call, the right contact, owner and task. Said again,
the whole day makes no writing request.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.simulator.people import AGENTS
from tests.fakes.hubspot import TOKEN, HubSpot, running_hubspot
from tests.fakes.hubspot_limits import Limits, Window
from tests.support.day import CALLS, day_calls, send_day
from tests.support.receiver import Receiver
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase, running_supabase

NOW = datetime.now(UTC)
MADRID = ZoneInfo("Europe/Madrid")
# At these paces calls gather, as they do on a real day, and the fakes do not take the test's time.
SETTINGS = """
    [server]
    port = 0
    [cloudtalk]
    grace_seconds = 5
    [destinations.local]
    client = "local"
    path = "crm.db"
    [destinations.table]
    client = "supabase"
    url = "{supabase.url}"
    key = "{supabase.key}"
    rate = 3
    [destinations.kv]
    client = "supabase"
    url = "{supabase.url}"
    key = "{supabase.key}"
    layout = "kv"
    rate = 3
    tasks = true
    match_clients = true
    [destinations.hubspot]
    client = "hubspot"
    token = "{token}"
    base_url = "{hubspot.url}"
    contacts = "create"
    [destinations.hook]
    client = "webhook"
    url = "{receiver[url]}"
    rate = 60
    secret = "{receiver[secret]}"
    allow_private = true
"""
KNOWN = (
    "started_at",
    "ended_at",
    "direction",
    "external_number",
    "internal_number",
    "agent_email",
    "recording_url",
    "duration_seconds",
    "talking_seconds",
)
"""What is compared in each CRM beside status and follow-up."""


@dataclass
class Day:
    """The CRMs at the end of the day, and what they should hold."""

    relay: RelayProcess
    supabase: Supabase
    hubspot: HubSpot
    receiver: Receiver
    expected: list[dict[str, Any]]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.relay.command("status", "--json").stdout)
        return found

    def until_delivered(self) -> None:
        """Everything was folded, and brought wherever it is owed."""

        def settled(found: dict[str, Any]) -> bool:
            owed = [crm["pending"] for crm in found["destinations"]]
            return not found["events"]["unfolded"] and not any(owed)

        eventually(self.status, settled, seconds=80)

    def writes(self) -> dict[str, int]:
        """How many requests each CRM was sent that could have written something."""
        reading = {"GET", "HEAD"}
        return {
            "supabase": len([seen for seen in self.supabase.log if seen.method not in reading]),
            "hubspot": len(self.hubspot.writes),
            "hook": len(self.receiver.requests),
        }


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    with (
        running_supabase() as supabase,
        running_hubspot(_account()) as hubspot,
        closing(Receiver()) as receiver,
    ):
        supabase.put(
            {
                f"cliente:{n}": {"id": str(n), "nombre": f"Cliente {n}", "telefono": _spelt(n, number)}
                for n, number in enumerate(_regulars())
            }
        )
        settings = SETTINGS.format(
            supabase=supabase, hubspot=hubspot, token=TOKEN, receiver=receiver.settings()
        )
        with running_relay(folder, settings) as relay:
            found = Day(relay, supabase, hubspot.hubspot, receiver, send_day(relay.url + WEBHOOK_PATH, NOW))
            found.until_delivered()
            yield found


def _numbers() -> list[str]:
    """Who will call, in the order of their calls."""
    return [call.expected["external_number"] for call in day_calls(NOW)]


def _regulars() -> list[str]:
    """Half of them are in the CRMs already."""
    return sorted(set(_numbers()))[::2]


def _spelt(n: int, number: str) -> str:
    """As people write numbers."""
    national = number.removeprefix("+34")
    return (number, national, f"{national[:3]} {national[3:6]} {national[6:]}", f"0034{national}")[n % 4]


def _account() -> HubSpot:
    """A portal with its agents, and the regulars among its contacts."""
    hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits = Limits(burst=Window(190, 10), search=Window(5, 1))
    for agent in AGENTS:
        hubspot.add_owner(agent.email)
    for n, number in enumerate(_regulars()):
        hubspot.contacts.add(phone=number if n % 2 else _spelt(2, number), firstname=f"Cliente {n}")
    return hubspot


def key(record: dict[str, Any]) -> tuple[Any, Any]:
    """CloudTalk's own ids: which of them named the record is a matter of order."""
    return record["call_uuid"], record["call_id"]


def by_ids(records: list[dict[str, Any]]) -> dict[tuple[Any, Any], dict[str, Any]]:
    found = {key(record): record for record in records}
    assert len(found) == len(records), "one record for each call"
    return found


def as_told(value: Any) -> Any:
    """Times as the record writes them, whatever the CRM makes of them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def compared(expected: dict[str, Any], record: dict[str, Any]) -> list[str]:
    return [
        f"{key(expected)} {field}: {as_told(record[field])!r}, not {expected[field]!r}"
        for field in KNOWN
        if as_told(record[field]) != expected[field]
    ]


def label(expected: dict[str, Any]) -> str:
    return DEFAULT_LABELS[Status(expected["status"])]


def _records(day: Day, crm: str) -> list[dict[str, Any]]:
    if crm == "local":
        return list(crm_rows(day.relay.folder / "crm.db").values())
    return day.supabase.rows() if crm == "table" else list(day.receiver.calls.values())


@pytest.mark.parametrize("crm", ["local", "table", "hook"])
def test_each_call_has_one_right_record(day: Day, crm: str) -> None:
    records = _records(day, crm)
    found = by_ids(records)
    assert found.keys() == {key(expected) for expected in day.expected}
    wrong = []
    for expected in day.expected:
        record = found[key(expected)]
        wrong += compared(expected, record)
        status = expected["status"] if crm == "hook" else label(expected)
        if (record["status"], bool(record["follow_up"])) != (status, expected["follow_up"]):
            wrong.append(f"{key(expected)}: {record['status']}, not {status}")
    assert wrong == []


def test_the_mission_s_crm_has_each_call_with_its_client_and_its_task(day: Day) -> None:
    values = day.supabase.values()
    calls = {k: v for k, v in values.items() if k.startswith("llamada:")}
    tasks = {k: v for k, v in values.items() if k.startswith("tarea:")}
    clients = {v["telefono"]: v for k, v in values.items() if k.startswith("cliente:")}
    by_number = {number: clients[_spelt(n, number)] for n, number in enumerate(_regulars())}
    assert len(calls) == CALLS
    rows = crm_rows(day.relay.folder / "crm.db")
    found = by_ids([rows[value["id"]] | {"value": value} for value in calls.values()])
    wrong = []
    for expected in day.expected:
        value = found[key(expected)]["value"]
        client = by_number.get(expected["external_number"])
        if value["estado"] != label(expected) or value["seguimiento"] != expected["follow_up"]:
            wrong.append(f"{value['id']}: {value['estado']}, not {label(expected)}")
        if client and (value["clienteId"], value["clienteNombre"]) != (client["id"], client["nombre"]):
            wrong.append(f"{value['id']}: {value['clienteId']}, not {client['id']}")
        if expected["follow_up"] and f"tarea:{value['id']}" not in tasks:
            wrong.append(f"{value['id']}: no task")
        task = tasks.get(f"tarea:{value['id']}", {"estado": "Completada"})
        if (task["estado"] == "Pendiente") != expected["follow_up"]:
            wrong.append(f"{value['id']}: its task is {task['estado']}")
    assert wrong == []


def test_hubspot_has_each_call_with_its_contact_owner_and_task(day: Day) -> None:
    hubspot, rows = day.hubspot, crm_rows(day.relay.folder / "crm.db")
    ids = {(row["call_uuid"], row["call_id"]): id_ for id_, row in rows.items()}
    owners = {owner.email: owner.id for owner in hubspot.owners}
    calls = {call.properties["cloudtalk_call_id"]: call for call in hubspot.calls.records.values()}
    assert len(hubspot.calls.records) == len(calls) == CALLS
    wrong = []
    for expected in day.expected:
        call = calls[ids[key(expected)]]
        number = expected["external_number"]
        contacts = [
            hubspot.contacts.records[c]
            for c in hubspot.contact_ids_of_call(call.properties["cloudtalk_call_id"])
        ]
        if [_digits(c.properties["phone"]) for c in contacts] != [number[3:]]:
            wrong.append(f"{call.properties} is linked to {contacts}")
        if call.properties.get("hubspot_owner_id", "") != owners.get(expected["agent_email"], ""):
            wrong.append(f"{call.properties} is not owned by {expected['agent_email']}")
    assert wrong == []
    phones = Counter(_digits(contact.properties["phone"]) for contact in hubspot.contacts.records.values())
    assert [number for number, times in phones.items() if times > 1] == [], "no contact is doubled"
    missed = {(e["external_number"], _date(e)) for e in day.expected if e["follow_up"]}
    pending = [
        task for task in hubspot.tasks.records.values() if task.properties["hs_task_status"] == "NOT_STARTED"
    ]
    assert len(pending) == len(missed), "a task for each number and day that a call was missed on"


def _digits(phone: str) -> str:
    return "".join(filter(str.isdigit, phone)).removeprefix("34")


def _date(expected: dict[str, Any]) -> str:
    return str(datetime.fromisoformat(expected["started_at"]).astimezone(MADRID).date())


def test_nothing_was_throttled(day: Day) -> None:
    assert day.hubspot.throttled == []


def test_said_again_and_replayed_the_day_makes_no_writing_request(day: Day) -> None:
    before = day.writes()
    send_day(day.relay.url + WEBHOOK_PATH, NOW, again=True)
    day.until_delivered()
    assert day.writes() == before
    done = day.relay.command("replay", "--json")
    assert done.returncode == 0, done.stderr
    day.until_delivered()
    assert day.writes() == before
