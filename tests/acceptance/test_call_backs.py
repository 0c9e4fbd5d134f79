"""A missed call, then a conversation with the same person: the follow-up ends in every CRM, in any order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

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


def mission(event: str, id_: str, customer: str, **data: Any) -> dict[str, Any]:
    common = {"id": id_, "direction": "inbound", "from": customer, "to": "+34910000001"}
    return {"event": event, "data": common | data}


def missed(name: str, customer: str) -> dict[str, Any]:
    times = {"started_at": "2024-11-28T10:30:00Z", "ended_at": "2024-11-28T10:30:20Z"}
    return mission("call.missed", f"{name}-missed", customer, **times, status="missed")


def later_conversation(name: str, customer: str) -> dict[str, Any]:
    """On another line, in the other direction, 14 minutes later."""
    return {
        "event": "ended",
        "call_uuid": f"{name}-answered",
        "direction": "outbound",
        "external_number": customer,
        "internal_number": "+34910000002",
        "started_at": "2024-11-28T10:44:00Z",
        "ended_at": "2024-11-28T10:46:00Z",
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
    id_, task_id = f"cloudtalk-{name}-missed", f"tarea:cloudtalk-{name}-missed"
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
    assert row["called_back_at"] == "2024-11-28T10:44:00Z"
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
