"""Tasks for missed calls: none for the debts of an imported history, and one although two relays run."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.fakes.hubspot import TOKEN, HubSpot, RunningHubSpot, running_hubspot
from tests.support.history_calls import PastCall
from tests.support.postgres import Databases
from tests.support.relay import RelayProcess, eventually, running_relay
from tests.support.supabase import Supabase

SETTINGS = """
[server]
port = 0
[ledger]
url = "{ledger}"
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{cloudtalk}/api"
analytics_url = "{cloudtalk}/analytics"
requests_per_minute = 60
[destinations.kv]
client = "supabase"
url = "{supabase}"
key = "{key}"
layout = "kv"
tasks = true
[destinations.hubspot]
client = "hubspot"
token = "{token}"
base_url = "{hubspot}"
language = "en"
"""
MADRID = ZoneInfo("Europe/Madrid")
NOON = datetime.now(MADRID).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def hubspot() -> Iterator[RunningHubSpot]:
    account = HubSpot()
    account.create_relay_properties()
    account.limits.burst.max_requests = account.limits.search.max_requests = 10_000
    with running_hubspot(account) as running:
        yield running


@pytest.fixture
def settings(supabase_project: Supabase, hubspot: RunningHubSpot) -> Any:
    supabase_project.execute("truncate kv_store_d03ded2a")
    return partial(
        SETTINGS.format,
        supabase=supabase_project.url,
        key=supabase_project.key,
        token=TOKEN,
        hubspot=hubspot.url,
    )


def tasks_of_kv(project: Supabase) -> dict[str, Any]:
    return {key: value for key, value in project.values().items() if key.startswith("tarea:")}


def wait_until_delivered(relay: RelayProcess, calls: int) -> None:
    def states() -> list[tuple[int, int]]:
        status = json.loads(relay.command("status", "--json").stdout)
        return [(each["delivered"], each["pending"]) for each in status["destinations"]]

    eventually(states, lambda found: found == [(calls, 0)] * 2)


def test_a_backfill_creates_no_tasks_for_old_or_paid_debts(
    tmp_path: Path, supabase_project: Supabase, hubspot: RunningHubSpot, settings: Any
) -> None:
    paid, recent, old = "+34612000101", "+34612000102", "+34612000103"
    calls = [
        PastCall(1, NOON - timedelta(days=30), old, 0),
        PastCall(2, NOON - timedelta(days=8), old, 0),
        PastCall(3, NOON, paid, 0),
        PastCall(4, NOON + timedelta(minutes=20), paid, 60),
        PastCall(5, NOON + timedelta(minutes=5), recent, 0),
        PastCall(6, NOON + timedelta(minutes=9), recent, 0),
    ]
    fake = FakeHistory((call.row() for call in reversed(calls)), offset_hours=-7)
    fake.uuids = {call.call_id: call.call_uuid for call in calls}
    with (
        threaded_history(fake) as cloudtalk,
        running_relay(tmp_path, settings(ledger="sqlite:///var/relay.db", cloudtalk=cloudtalk.url)) as relay,
    ):
        since, until = NOON - timedelta(days=40), NOON + timedelta(days=1)
        done = relay.command("backfill", "--since", f"{since:%Y-%m-%d}", "--until", f"{until:%Y-%m-%d}")
        assert done.returncode == 0, done.stderr
        wait_until_delivered(relay, len(calls))
    tasks = [task["descripcion"] for task in tasks_of_kv(supabase_project).values()]
    assert [text for text in tasks if text.startswith(f"2 llamadas perdidas de {recent}, {NOON:%d/%m/%Y}: ")]
    assert not [text for text in tasks if old in text]
    (task,) = [task for task in hubspot.hubspot.tasks if task["hs_task_status"] == "NOT_STARTED"]
    assert task["cloudtalk_task_id"] == f"{recent}:{NOON:%Y-%m-%d}"
    assert "2 missed calls" in task["hs_task_body"]
    assert not [task for task in hubspot.hubspot.tasks if old in task["cloudtalk_task_id"]]


def test_two_relays_share_one_task(
    tmp_path: Path,
    databases: Databases,
    supabase_project: Supabase,
    hubspot: RunningHubSpot,
    settings: Any,
) -> None:
    customers = [f"+3461200020{n}" for n in range(3)]
    with databases.ledger() as ledger:
        text = settings(ledger=ledger, cloudtalk="http://127.0.0.1:9")
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        with running_relay(tmp_path / "one", text) as one, running_relay(tmp_path / "other", text) as other:
            events = [
                PastCall(10 * n + k, NOON.astimezone(UTC) + timedelta(minutes=k), customer, 0).ended(
                    "call_uuid"
                )
                for n, customer in enumerate(customers)
                for k in range(4)
            ]
            with ThreadPoolExecutor(8) as pool:
                sent = [pool.submit((one, other)[n % 2].post, event) for n, event in enumerate(events)]
            assert {each.result().status_code for each in sent} == {200}
            wait_until_delivered(one, len(events))
    tasks = sorted(task["descripcion"].partition(",")[0] for task in tasks_of_kv(supabase_project).values())
    assert tasks == [f"4 llamadas perdidas de {number}" for number in customers]
    assert sorted(task["cloudtalk_task_id"] for task in hubspot.hubspot.tasks) == [
        f"{number}:{NOON:%Y-%m-%d}" for number in customers
    ]
    assert all("4 missed calls" in task["hs_task_body"] for task in hubspot.hubspot.tasks)
