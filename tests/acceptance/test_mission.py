"""Payloads of the mission through a real relay into two CRMs: the embedded one and a real PostgREST."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from random import Random
from typing import Any

import pytest

from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase

EVENTS = ("call.started", "call.answered", "call.ended", "call.missed")
DATA = {
    "direction": "inbound",
    "from": "+34612345678",
    "to": "+34987654321",
    "contact_id": "contact-id",
    "contact_name": "Nombre del Contacto",
    "duration": 120,
    "started_at": "2024-11-28T10:30:00Z",
    "ended_at": "2024-11-28T10:32:00Z",
    "status": "completed",
}


@pytest.fixture(scope="module", params=[1, 2], ids=["one-process", "two-processes"])
def relay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, supabase_project: Supabase
) -> Iterator[RelayProcess]:
    """One relay with two CRMs for all tests; each test uses its own call ids."""
    settings = f"""
        [server]
        port = 0
        [destinations.crm]
        client = "local"
        path = "crm.db"
        [destinations.supabase]
        client = "supabase"
        url = "{supabase_project.url}"
        key = "{supabase_project.key}"
    """
    supabase_project.execute("truncate calls")
    with running_relay(tmp_path_factory.mktemp("mission"), settings, request.param) as process:
        yield process


def expected_state(events: tuple[str, ...]) -> str:
    """The state after these events. The `status` of every payload is "completed", as in the example."""
    if "call.ended" in events:
        return "completed"
    if "call.answered" in events:
        return "completed" if "call.missed" in events else "answered"
    return "missed" if "call.missed" in events else "in_progress"


LABELS = {
    "completed": "Completada",
    "answered": "Completada",
    "missed": "Perdida",
    "in_progress": "En Progreso",
}


def test_every_subset_of_events_in_any_order_and_repeated_gives_the_expected_record(
    relay: RelayProcess, supabase_project: Supabase
) -> None:
    random = Random(1)
    subsets: dict[str, tuple[str, ...]] = {}
    for size in range(1, 5):
        for subset in combinations(EVENTS, size):
            for number, order in enumerate(permutations(subset)):
                name = f"{'-'.join(e.removeprefix('call.') for e in subset)}-{number}"
                subsets[f"cloudtalk-{name}"] = subset
                repeated = random.choices(order, k=random.randint(0, 2))
                for event in (*order, *repeated):
                    response = relay.post({"event": event, "data": {"id": name} | DATA})
                    assert response.json()["success"] is True

    rows = eventually(
        lambda: {row["id"]: row for row in supabase_project.rows()},
        lambda found: (
            {i: r["state"] for i, r in found.items() if i in subsets}
            == {i: expected_state(s) for i, s in subsets.items()}
        ),
    )
    local = eventually(
        lambda: crm_rows(relay.folder / "crm.db"),
        lambda found: (
            {i: r["status"] for i, r in found.items() if i in subsets}
            == {i: LABELS[expected_state(s)] for i, s in subsets.items()}
        ),
    )
    for id_, subset in subsets.items():
        state = expected_state(subset)
        ended = not {"call.ended", "call.missed"}.isdisjoint(subset)
        for row in (rows[id_], local[id_]):
            assert row["status"] == LABELS[state]
            assert row["call_id"] == id_.removeprefix("cloudtalk-")
            assert (row["from"], row["to"]) == ("+34612345678", "+34987654321")
            assert (row["external_number"], row["internal_number"]) == ("+34612345678", "+34987654321")
            assert (row["contact_id"], row["contact_name"]) == ("contact-id", "Nombre del Contacto")
            assert row["duration_seconds"] == (120 if ended else None)
            assert bool(row["follow_up"]) == (state == "missed")
            # The payload is from 2024, so the arrival time is no plausible time of the answer.
            assert row["response_seconds"] is None
            assert row["answered_at"] is None
        data = {"id": id_.removeprefix("cloudtalk-")} | DATA
        assert rows[id_]["cloudtalk_data"] == data
        assert json.loads(local[id_]["cloudtalkData"]) == data
        assert local[id_]["started_at"] == "2024-11-28T10:30:00Z"
        assert rows[id_]["started_at"] == datetime(2024, 11, 28, 10, 30, tzinfo=UTC)
        assert local[id_]["ended_at"] == ("2024-11-28T10:32:00Z" if ended else None)


def test_with_current_times_the_response_time_is_right(
    relay: RelayProcess, supabase_project: Supabase
) -> None:
    started = datetime.now(UTC) - timedelta(seconds=9)
    data = {"id": "now", "direction": "inbound", "started_at": started.isoformat()}
    for event in ("call.started", "call.answered"):
        relay.post({"event": event, "data": data})
    row = eventually(
        lambda: {r["id"]: r for r in supabase_project.rows()}.get("cloudtalk-now", {}),
        lambda found: found.get("state") == "answered",
    )
    assert row["response_seconds"] in {9, 10}
    assert crm_rows(relay.folder / "crm.db")["cloudtalk-now"]["response_seconds"] == row["response_seconds"]


def test_a_note_typed_into_a_row_survives_the_next_event(
    relay: RelayProcess, supabase_project: Supabase
) -> None:
    data = {"id": "noted", "direction": "inbound", "contact_name": "Ana"}
    relay.post({"event": "call.started", "data": data})
    row_of = lambda: {r["id"]: r for r in supabase_project.rows()}.get("cloudtalk-noted", {})  # noqa: E731
    eventually(row_of, lambda found: found.get("state") == "in_progress")
    supabase_project.execute(
        "update calls set notes = 'llamar mañana', contact_name = 'Ana María' where id = 'cloudtalk-noted'"
    )
    relay.post({"event": "call.ended", "data": data | {"status": "missed"}})
    row = eventually(row_of, lambda found: found.get("state") == "missed")
    assert (row["notes"], row["contact_name"]) == ("llamar mañana", "Ana María")


def test_the_command_line_shows_the_call_and_its_deliveries(relay: RelayProcess) -> None:
    relay.post({"event": "call.ended", "data": {"id": "shown", "direction": "inbound", "status": "missed"}})
    shown = eventually(
        lambda: relay.command("calls", "show", "shown", "--json"),
        lambda process: '"delivered"' in process.stdout and '"pending"' not in process.stdout,
    )
    call = json.loads(shown.stdout)
    assert (call["id"], call["status"], call["follow_up"]) == ("cloudtalk-shown", "missed", True)
    assert [event["kind"] for event in call["events"]] == ["ended"]
    assert json.loads(call["events"][0]["raw"])["data"]["id"] == "shown"
    assert {d["destination"]: (d["state"], d["attempts"]) for d in call["deliveries"]} == {
        "crm": ("delivered", 1),
        "supabase": ("delivered", 1),
    }
    assert relay.command("calls", "show", "nobody").returncode == 1
    status = json.loads(relay.command("status", "--json").stdout)
    assert [d["state"] for d in status["destinations"]] == ["delivering", "delivering"]
    checked = relay.command("check", "--json")
    assert checked.returncode == 0, checked.stdout
    listed: list[dict[str, Any]] = json.loads(relay.command("calls", "list", "--json").stdout)
    assert "cloudtalk-shown" in {row["id"] for row in listed}


def test_each_accepted_event_is_logged_without_personal_data(relay: RelayProcess) -> None:
    relay.post({"event": "call.started", "data": {"id": "logged"} | DATA})
    lines = eventually(
        relay.log_lines,
        lambda found: any(
            line.get("call") == "cloudtalk-logged" and line["event"] == "call.folded" for line in found
        ),
    )
    (line,) = [found for found in lines if found.get("call_id") == "logged"]
    assert line["event"] == "CloudTalk Webhook Event: call.started"
    assert {"event_seq", "call_uuid", "dialect", "kind", "timestamp", "level", "logger"} <= line.keys()
    log = relay.log_path.read_text()
    assert "612345678" not in log
    assert "Nombre del Contacto" not in log
