"""A call centre's day: calls in several dialects, duplicated and out of order, in five CRMs at once.

At the end each CRM has one correct record per call, with the right contact, owner and task. If the whole day
is sent again, no CRM receives a request that writes.

`DAY_CALLS=2000 pytest tests/acceptance/test_day.py` sends a longer day.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import ne
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.simulator.people import AGENTS
from tests.chaos.audit import count_states
from tests.fakes.hubspot import TOKEN, HubSpot, running_hubspot
from tests.fakes.hubspot_limits import Limits, Window
from tests.support.day import CALLS, day_calls, send_day
from tests.support.receiver import Receiver
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase, running_supabase

# The set-up sends the whole day; on a busy machine that takes longer than other tests may.
pytestmark = pytest.mark.timeout(300)

NOW = datetime.now(UTC)
MADRID = ZoneInfo("Europe/Madrid")
# At these rates calls are batched, as on a real day, and the fakes leave the CPU to the relay.
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
    search_rate = 80
    [destinations.webhook]
    client = "webhook"
    url = "{receiver[url]}"
    rate = 60
    secret = "{receiver[secret]}"
    allow_private = true
"""
COMPARED = (
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
"""The fields that are compared in each CRM, besides status and follow-up."""


@dataclass
class Day:
    """The relay and its CRMs at the end of the day, and the expected records."""

    relay: RelayProcess
    supabase: Supabase
    hubspot: HubSpot
    receiver: Receiver
    expected: list[dict[str, Any]]

    def wait_until_delivered(self) -> None:
        """Wait until every event is folded and no delivery is pending. Fails if nothing changes for 30 s."""
        while left := self._count_unfinished():
            eventually(self._count_unfinished, partial(ne, left))

    def _count_unfinished(self) -> int:
        not_folded, deliveries = count_states(f"sqlite:///{self.relay.folder / 'var/relay.db'}")
        return not_folded + deliveries.get("pending", 0)

    def count_writes(self) -> dict[str, int]:
        """Count the requests to each CRM that may have written something."""
        reads = {"GET", "HEAD"}
        return {
            "supabase": len([seen for seen in self.supabase.log if seen.method not in reads]),
            "hubspot": len(self.hubspot.writes),
            "webhook": len(self.receiver.requests),
        }


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    with (
        running_supabase() as supabase,
        running_hubspot(_hubspot_account()) as hubspot,
        closing(Receiver()) as receiver,
    ):
        supabase.put(
            {
                f"cliente:{n}": {
                    "id": str(n),
                    "nombre": f"Cliente {n}",
                    "telefono": _format_typed(n, number),
                }
                for n, number in enumerate(_known_callers())
            }
        )
        settings = SETTINGS.format(
            supabase=supabase, hubspot=hubspot, token=TOKEN, receiver=receiver.settings()
        )
        with running_relay(folder, settings) as relay:
            day = Day(relay, supabase, hubspot.hubspot, receiver, send_day(relay.url + WEBHOOK_PATH, NOW))
            day.wait_until_delivered()
            yield day


def _callers() -> list[str]:
    """The number of each caller, in the order of the calls."""
    return [call.expected["external_number"] for call in day_calls(NOW)]


def _known_callers() -> list[str]:
    """Half of the callers: the CRMs have contacts of them."""
    return sorted(set(_callers()))[::2]


def _format_typed(n: int, number: str) -> str:
    """Format a number in one of the ways in which people type them."""
    national = number.removeprefix("+34")
    return (number, national, f"{national[:3]} {national[3:6]} {national[6:]}", f"0034{national}")[n % 4]


def _hubspot_account() -> HubSpot:
    """An account with the agents as owners and the known callers as contacts.

    It permits more searches than HubSpot does: a whole day of new callers comes within a minute.
    """
    hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits = Limits(burst=Window(190, 10), search=Window(100, 1))
    for agent in AGENTS:
        hubspot.add_owner(agent.email)
    for n, number in enumerate(_known_callers()):
        hubspot.contacts.add(phone=number if n % 2 else _format_typed(2, number), firstname=f"Cliente {n}")
    return hubspot


def ids_of(record: dict[str, Any]) -> tuple[Any, Any]:
    """CloudTalk's two ids. The record's id is one of them, which depends on the order of the events."""
    return record["call_uuid"], record["call_id"]


def group_by_ids(records: list[dict[str, Any]]) -> dict[tuple[Any, Any], dict[str, Any]]:
    found = {ids_of(record): record for record in records}
    assert len(found) == len(records), "a call has several records"
    return found


def normalize(value: Any) -> Any:
    """Format a time as the record does; some CRMs return a `datetime`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def list_differences(expected: dict[str, Any], record: dict[str, Any]) -> list[str]:
    return [
        f"{ids_of(expected)} {field}: {normalize(record[field])!r}, not {expected[field]!r}"
        for field in COMPARED
        if normalize(record[field]) != expected[field]
    ]


def label_of(expected: dict[str, Any]) -> str:
    return DEFAULT_LABELS[Status(expected["status"])]


def _read_records(day: Day, crm: str) -> list[dict[str, Any]]:
    if crm == "local":
        return list(crm_rows(day.relay.folder / "crm.db").values())
    return day.supabase.rows() if crm == "table" else list(day.receiver.calls.values())


@pytest.mark.parametrize("crm", ["local", "table", "webhook"])
def test_each_call_has_one_correct_record(day: Day, crm: str) -> None:
    records = _read_records(day, crm)
    found = group_by_ids(records)
    assert found.keys() == {ids_of(expected) for expected in day.expected}
    wrong = []
    for expected in day.expected:
        record = found[ids_of(expected)]
        wrong += list_differences(expected, record)
        status = expected["status"] if crm == "webhook" else label_of(expected)
        if (record["status"], bool(record["follow_up"])) != (status, expected["follow_up"]):
            wrong.append(f"{ids_of(expected)}: {record['status']}, not {status}")
    assert wrong == []


def test_the_key_value_crm_has_each_call_with_its_client_and_task(day: Day) -> None:
    values = day.supabase.values()
    calls = {k: v for k, v in values.items() if k.startswith("llamada:")}
    tasks = {k: v for k, v in values.items() if k.startswith("tarea:")}
    clients = {v["telefono"]: v for k, v in values.items() if k.startswith("cliente:")}
    by_number = {number: clients[_format_typed(n, number)] for n, number in enumerate(_known_callers())}
    assert len(calls) == CALLS
    rows = crm_rows(day.relay.folder / "crm.db")
    found = group_by_ids([rows[value["id"]] | {"value": value} for value in calls.values()])
    wrong = []
    for expected in day.expected:
        value = found[ids_of(expected)]["value"]
        client = by_number.get(expected["external_number"])
        if value["estado"] != label_of(expected) or value["seguimiento"] != expected["follow_up"]:
            wrong.append(f"{value['id']}: {value['estado']}, not {label_of(expected)}")
        if client and (value["clienteId"], value["clienteNombre"]) != (client["id"], client["nombre"]):
            wrong.append(f"{value['id']}: {value['clienteId']}, not {client['id']}")
    assert wrong == []
    missed = {(e["external_number"], _date(e)) for e in day.expected if e["follow_up"]}
    open_tasks = [task for task in tasks.values() if task["estado"] == "Pendiente"]
    assert Counter(map(_number_and_date, open_tasks)) == Counter(missed), "one open task per number and day"


def test_hubspot_has_each_call_with_its_contact_owner_and_task(day: Day) -> None:
    hubspot, rows = day.hubspot, crm_rows(day.relay.folder / "crm.db")
    ids = {(row["call_uuid"], row["call_id"]): id_ for id_, row in rows.items()}
    owners = {owner.email: owner.id for owner in hubspot.owners}
    calls = {call.properties["cloudtalk_call_id"]: call for call in hubspot.calls.records.values()}
    assert len(hubspot.calls.records) == len(calls) == CALLS
    wrong = []
    for expected in day.expected:
        call = calls[ids[ids_of(expected)]]
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
    assert [number for number, times in phones.items() if times > 1] == [], "a contact is duplicated"
    missed = {(e["external_number"], _date(e)) for e in day.expected if e["follow_up"]}
    pending = [
        task for task in hubspot.tasks.records.values() if task.properties["hs_task_status"] == "NOT_STARTED"
    ]
    assert len(pending) == len(missed), "there must be one task per number and day with a missed call"


def _digits(phone: str) -> str:
    return "".join(filter(str.isdigit, phone)).removeprefix("34")


def _date(expected: dict[str, Any]) -> str:
    return str(datetime.fromisoformat(expected["started_at"]).astimezone(MADRID).date())


def _number_and_date(task: dict[str, str]) -> tuple[str, str]:
    found = re.search(r"(\+\d+), (\d\d)/(\d\d)/(\d{4})", task["descripcion"])
    assert found is not None
    number, day, month, year = found.groups()
    return number, f"{year}-{month}-{day}"


def test_hubspot_throttled_no_request(day: Day) -> None:
    assert day.hubspot.throttled == []


def test_the_day_sent_again_and_replayed_writes_nothing(day: Day) -> None:
    before = day.count_writes()
    send_day(day.relay.url + WEBHOOK_PATH, NOW, again=True)
    day.wait_until_delivered()
    assert day.count_writes() == before
    replay = day.relay.command("replay", "--json")
    assert replay.returncode == 0, replay.stderr
    day.wait_until_delivered()
    assert day.count_writes() == before
