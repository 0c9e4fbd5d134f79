"""A missed call, then a conversation with the same person: the follow-up ends in every CRM, in any order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.hubspot import TOKEN, HubSpot, RunningHubSpot, running_hubspot
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase


@pytest.fixture(scope="module")
def hubspot() -> Iterator[RunningHubSpot]:
    account = HubSpot()
    account.create_relay_properties()
    account.limits.burst.max_requests = account.limits.search.max_requests = 10_000
    with running_hubspot(account) as running:
        yield running


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory, supabase_project: Supabase, hubspot: RunningHubSpot
) -> Iterator[RelayProcess]:
    """One relay with every kind of CRM; each test uses its own calls and numbers."""
    supabase_project.execute("truncate calls; truncate kv_store_d03ded2a")
    project = f'client = "supabase"\nurl = "{supabase_project.url}"\nkey = "{supabase_project.key}"'
    settings = f"""
        [server]
        port = 0
        [destinations.crm]
        client = "local"
        path = "crm.db"
        [destinations.table]
        {project}
        [destinations.kv]
        {project}
        layout = "kv"
        tasks = true
        [destinations.hubspot]
        client = "hubspot"
        token = "{TOKEN}"
        base_url = "{hubspot.url}"
        language = "en"
    """
    settings = "\n".join(line.strip() for line in settings.splitlines())
    with running_relay(tmp_path_factory.mktemp("call-backs"), settings) as process:
        yield process


MADRID = ZoneInfo("Europe/Madrid")
YESTERDAY = datetime.now(MADRID).date() - timedelta(days=1)
NOON = datetime.combine(YESTERDAY, time(12), MADRID).astimezone(UTC)


def kv_task(project: Supabase, customer: str) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = [v for key, v in project.values().items() if key.startswith("tarea:")]
    (task,) = [task for task in tasks if customer in task["descripcion"]]
    return task


def mission(event: str, id_: str, customer: str, **data: Any) -> dict[str, Any]:
    common = {"id": id_, "direction": "inbound", "from": customer, "to": "+34910000001"}
    return {"event": event, "data": common | data}


def at(minutes: int, seconds: int = 0) -> str:
    """So long after noon of yesterday: a missed call that is older than a week gets no task."""
    return f"{NOON + timedelta(minutes=minutes, seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def missed(name: str, customer: str, minutes: int = 0) -> dict[str, Any]:
    times = {"started_at": at(minutes), "ended_at": at(minutes, 20)}
    return mission("call.missed", f"{name}-missed", customer, **times, status="missed")


def later_conversation(name: str, customer: str) -> dict[str, Any]:
    """On another line, in the other direction, 14 minutes later."""
    return {
        "event": "ended",
        "call_uuid": f"{name}-answered",
        "direction": "outbound",
        "external_number": customer,
        "internal_number": "+34910000002",
        "started_at": at(14),
        "ended_at": at(16),
        "talking_time": 100,
        "agent_name": "Aitana Gil",
    }


CUSTOMERS = {
    "missed, then answered": "+34612000001",
    "answered, then missed": "+34612000002",
    "together": "+34612000003",
}


@pytest.mark.parametrize("order", CUSTOMERS)
def test_the_follow_up_ends_in_every_crm(
    relay: RelayProcess, supabase_project: Supabase, hubspot: RunningHubSpot, order: str
) -> None:
    name = order.replace(", then ", "-")
    customer = CUSTOMERS[order]
    id_ = f"cloudtalk-{name}-missed"
    task_id = f"tarea:{id_}"
    bodies = [missed(name, customer), later_conversation(name, customer)]
    if order == "together":
        relay.post(bodies)
    else:
        for body in bodies if order.startswith("missed") else bodies[::-1]:
            relay.post(body)
            wait_until_idle(relay)
    row = eventually(
        lambda: crm_rows(relay.folder / "crm.db").get(id_, {}), lambda row: row.get("follow_up") == 0
    )
    assert (row["status"], row["called_back_by"]) == ("Perdida", "Aitana Gil")
    assert row["called_back_at"] == at(14)
    wait_until_idle(relay)
    (of_table,) = [row for row in supabase_project.rows() if row["id"] == id_]
    assert (of_table["status"], of_table["follow_up"]) == ("Perdida", False)
    values = supabase_project.values()
    assert values[f"llamada:{id_}"]["seguimiento"] is False
    tasks = [task for task in hubspot.hubspot.tasks if customer in task["hs_task_subject"]]
    if order == "missed, then answered":
        assert values[task_id]["estado"] == "Completada"
        remark = "Se habló con el cliente 14 min después (agente: Aitana Gil): tarea completada"
        assert values[task_id]["descripcion"].endswith(f"\n{remark} por CloudTalk Relay.")
        (task,) = tasks
        assert task["hs_task_status"] == "COMPLETED"
        assert "Called back after 14 min by Aitana Gil." in task["hs_task_body"]
    else:
        # Nobody needs to call back: there is no task, or a completed one.
        assert values.get(task_id, {"estado": "Completada"})["estado"] == "Completada"
        assert {task["hs_task_status"] for task in tasks} <= {"COMPLETED"}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_repeated_calls_of_a_day_share_one_task_in_any_order(
    relay: RelayProcess, supabase_project: Supabase, hubspot: RunningHubSpot, order: tuple[int, ...]
) -> None:
    customer = f"+3461200001{order[0]}"
    events = [missed(f"often{order[0]}-{n}", customer, minutes=n * 5 - 5) for n in range(3)]
    for n in order:
        relay.post(events[n])
    wait_until_idle(relay)

    def of_hubspot() -> dict[str, str]:
        tasks = hubspot.hubspot.tasks
        (task,) = [task for task in tasks if customer in task["hs_task_subject"]]
        return task

    assert of_hubspot()["hs_task_priority"] == "HIGH"
    assert "3 missed calls on" in of_hubspot()["hs_task_body"]
    task = kv_task(supabase_project, customer)
    assert (task["prioridad"], task["estado"]) == ("Alta", "Pendiente")
    assert task["descripcion"].startswith(f"3 llamadas perdidas de {customer}")
    relay.post(later_conversation(f"often{order[0]}", customer))
    wait_until_idle(relay)
    assert of_hubspot()["hs_task_status"] == "COMPLETED"
    assert "Called back after 19 min by Aitana Gil." in of_hubspot()["hs_task_body"]
    task = kv_task(supabase_project, customer)
    assert task["estado"] == "Completada"
    assert "Se habló con el cliente 19 min después (agente: Aitana Gil)" in task["descripcion"]


def test_an_old_missed_call_gets_no_task(
    relay: RelayProcess, supabase_project: Supabase, hubspot: RunningHubSpot
) -> None:
    customer = "+34612000030"
    relay.post(missed("old", customer, minutes=-8 * 24 * 60))
    wait_until_idle(relay)
    assert supabase_project.values()["llamada:cloudtalk-old-missed"]["seguimiento"] is True
    assert [key for key in supabase_project.values() if customer[1:] in key] == []
    assert [task for task in hubspot.hubspot.tasks if customer in task["hs_task_subject"]] == []


def wait_until_idle(relay: RelayProcess) -> None:
    """Wait until all events are folded and all calls delivered."""
    left = """SELECT (SELECT count(*) FROM events WHERE state = 'new'),
        (SELECT count(*) FROM deliveries WHERE state = 'pending')"""

    def count_left() -> tuple[int, int]:
        path = relay.folder / "var/relay.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            events, deliveries = connection.execute(left).fetchone()
            return events, deliveries

    eventually(count_left, lambda counts: counts == (0, 0))
