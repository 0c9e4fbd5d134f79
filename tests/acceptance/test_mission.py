"""The mission's payload into a CRM, through the real program: the embedded CRM and a real PostgREST."""

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


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, supabase_project: Supabase) -> Iterator[RelayProcess]:
    """One relay with both CRMs for all the tests here: they use ids of their own."""
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
    with running_relay(tmp_path_factory.mktemp("mission"), settings) as process:
        yield process


def expected_state(events: tuple[str, ...]) -> str:
    """Status "completed" in every payload, as the example's: the rows of the table that it can reach."""
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


def test_every_subset_in_any_order_any_number_of_times_gives_the_record_of_the_table(
    relay: RelayProcess, supabase_project: Supabase
) -> None:
    random = Random(1)
    wanted: dict[str, tuple[str, ...]] = {}
    for size in range(1, 5):
        for subset in combinations(EVENTS, size):
            for number, order in enumerate(permutations(subset)):
                name = f"{'-'.join(e.removeprefix('call.') for e in subset)}-{number}"
                wanted[f"cloudtalk-{name}"] = subset
                again = random.choices(order, k=random.randint(0, 2))
                for event in (*order, *again):
                    answer = relay.post({"event": event, "data": {"id": name} | DATA})
                    assert answer.json()["success"] is True

    rows = eventually(
        lambda: {row["id"]: row for row in supabase_project.rows()},
        lambda found: (
            {i: r["state"] for i, r in found.items() if i in wanted}
            == {i: expected_state(s) for i, s in wanted.items()}
        ),
    )
    local = eventually(
        lambda: crm_rows(relay.folder / "crm.db"),
        lambda found: (
            {i: r["status"] for i, r in found.items() if i in wanted}
            == {i: LABELS[expected_state(s)] for i, s in wanted.items()}
        ),
    )
    for id_, subset in wanted.items():
        state = expected_state(subset)
        over = not {"call.ended", "call.missed"}.isdisjoint(subset)
        for row in (rows[id_], local[id_]):
            assert row["status"] == LABELS[state]
            assert row["call_id"] == id_.removeprefix("cloudtalk-")
            assert (row["from"], row["to"]) == ("+34612345678", "+34987654321")
            assert (row["external_number"], row["internal_number"]) == ("+34612345678", "+34987654321")
            assert (row["contact_id"], row["contact_name"]) == ("contact-id", "Nombre del Contacto")
            assert row["duration_seconds"] == (120 if over else None)
            assert bool(row["follow_up"]) == (state == "missed")
            # 2024 is long ago: an Answered that arrives today says nothing of the answer's time.
            assert row["response_seconds"] is None
            assert row["answered_at"] is None
        data = {"id": id_.removeprefix("cloudtalk-")} | DATA
        assert rows[id_]["cloudtalk_data"] == data
        assert json.loads(local[id_]["cloudtalkData"]) == data
        assert local[id_]["started_at"] == "2024-11-28T10:30:00Z"
        assert rows[id_]["started_at"] == datetime(2024, 11, 28, 10, 30, tzinfo=UTC)
        assert local[id_]["ended_at"] == ("2024-11-28T10:32:00Z" if over else None)


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


def test_the_command_line_tells_the_story(relay: RelayProcess) -> None:
    relay.post({"event": "call.ended", "data": {"id": "told", "direction": "inbound", "status": "missed"}})
    shown = eventually(
        lambda: relay.command("calls", "show", "told", "--json"),
        lambda done: '"delivered"' in done.stdout and '"pending"' not in done.stdout,
    )
    call = json.loads(shown.stdout)
    assert (call["id"], call["status"], call["follow_up"]) == ("cloudtalk-told", "missed", True)
    assert [event["kind"] for event in call["events"]] == ["ended"]
    assert json.loads(call["events"][0]["raw"])["data"]["id"] == "told"
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
    assert "cloudtalk-told" in {row["id"] for row in listed}


def test_each_accepted_event_is_announced_without_people_in_it(relay: RelayProcess) -> None:
    relay.post({"event": "call.started", "data": {"id": "announced"} | DATA})
    lines = eventually(
        relay.log_lines,
        lambda found: any(
            line.get("call") == "cloudtalk-announced" and line["event"] == "call.folded" for line in found
        ),
    )
    (line,) = [found for found in lines if found.get("call_id") == "announced"]
    assert line["event"] == "CloudTalk Webhook Event: call.started"
    assert {"event_seq", "call_uuid", "dialect", "kind", "timestamp", "level", "logger"} <= line.keys()
    whole = relay.log_path.read_text()
    assert "612345678" not in whole
    assert "Nombre del Contacto" not in whole
