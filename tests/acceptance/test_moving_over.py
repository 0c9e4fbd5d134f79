"""docs/moving-over.md: the relay and the edge function that it replaces write the same key-value table.

The function is written here as in the CRM's project, with its known fault: it spreads the existing record
last.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.relay import RelayProcess, eventually, running_relay
from tests.support.supabase import Supabase

LABELS: Final = {"call.started": "En Progreso", "call.answered": "Completada", "call.missed": "Perdida"}
DATA: Final = {
    "direction": "inbound",
    "from": "+34612345678",
    "to": "+34987654321",
    "contact_id": "7",
    "contact_name": "Ana Ejemplo",
    "started_at": "2024-11-28T10:30:00Z",
}
ENDED: Final = {**DATA, "ended_at": "2024-11-28T10:32:00Z", "duration": 120, "status": "completed"}


def run_edge_function(supabase: Supabase, event: str, data: dict[str, Any]) -> None:
    key = f"llamada:cloudtalk-{data['id']}"
    minutes, seconds = divmod(data.get("duration", 0), 60)
    new = {
        "id": f"cloudtalk-{data['id']}",
        "clienteId": data["contact_id"],
        "clienteNombre": data["contact_name"],
        "tipo": "Entrante" if data["direction"] == "inbound" else "Saliente",
        "duracion": f"{minutes}:{seconds:02}",
        "fecha": data["started_at"],
        "estado": LABELS.get(event, "Completada"),
        "notas": f"Llamada CloudTalk - {data['from']} → {data['to']}",
        "cloudtalkId": data["id"],
        "cloudtalkData": data,
    }
    supabase.put({key: new | supabase.values().get(key, {})})


@pytest.fixture
def kv(supabase_project: Supabase) -> Iterator[Supabase]:
    supabase_project.execute("truncate kv_store_d03ded2a")
    yield supabase_project
    supabase_project.execute("truncate kv_store_d03ded2a")


@pytest.fixture
def relay(tmp_path: Path, kv: Supabase) -> Iterator[RelayProcess]:
    settings = f"""
        [server]
        port = 0
        [destinations.crm]
        client = "supabase"
        url = "{kv.url}"
        key = "{kv.key}"
        layout = "kv"
        tasks = true
        match_clients = true
    """
    with running_relay(tmp_path, settings) as process:
        yield process


def record_of(kv: Supabase, id_: str, estado: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        found: dict[str, Any] = kv.values().get(f"llamada:cloudtalk-{id_}", {})
        return found

    return eventually(read, lambda record: record.get("estado") == estado and "telefono" in record)


def test_records_of_the_function_stay_as_they_are_until_their_call_changes(
    relay: RelayProcess, kv: Supabase
) -> None:
    run_edge_function(kv, "call.started", DATA | {"id": "old"})
    old = kv.values()["llamada:cloudtalk-old"]
    relay.post({"event": "call.ended", "data": ENDED | {"id": "new"}})
    assert record_of(kv, "new", "Completada")["duracion"] == "2:00"
    assert kv.values()["llamada:cloudtalk-old"] == old


def test_a_record_of_the_function_is_completed_and_the_notes_of_people_stay(
    relay: RelayProcess, kv: Supabase
) -> None:
    """The client that a person chose stays, too: `match_clients` never replaces it."""
    run_edge_function(kv, "call.started", DATA | {"id": "1"})
    typed = {"notas": "Pide presupuesto", "clienteId": "c-9", "clienteNombre": "Ejemplo SL", "valoracion": 5}
    kv.put({"llamada:cloudtalk-1": kv.values()["llamada:cloudtalk-1"] | typed})
    relay.post({"event": "call.ended", "data": ENDED | {"id": "1"}})
    record = record_of(kv, "1", "Completada")
    assert {key: record[key] for key in typed} == typed
    assert (record["duracion"], record["fin"]) == ("2:00", "2024-11-28T10:32:00Z")


@pytest.mark.parametrize("first", ["function", "relay"])
def test_both_can_run_for_a_day(first: str, relay: RelayProcess, kv: Supabase) -> None:
    """Whichever writes first, the record ends as in the relay: the function changes no existing value."""
    for event, facts in (("call.started", DATA), ("call.ended", ENDED)):
        data = facts | {"id": "1"}
        if first == "function":
            run_edge_function(kv, event, data)
        relay.post({"event": event, "data": data})
        record = record_of(kv, "1", LABELS.get(event, "Completada"))
        if first == "relay":
            run_edge_function(kv, event, data)
            assert kv.values()["llamada:cloudtalk-1"] == record
    assert list(kv.values()) == ["llamada:cloudtalk-1"]
    assert (record["estado"], record["duracion"]) == ("Completada", "2:00")


def test_the_function_can_go_on_where_the_relay_ended(relay: RelayProcess, kv: Supabase) -> None:
    """The way back: its pages read the records of the relay, and it writes the calls that come now."""
    relay.post({"event": "call.ended", "data": ENDED | {"id": "1"}})
    record = record_of(kv, "1", "Completada")
    relay.stop()
    run_edge_function(kv, "call.started", DATA | {"id": "2"})
    run_edge_function(kv, "call.ended", ENDED | {"id": "1"})
    assert kv.values()["llamada:cloudtalk-1"] == record
    assert kv.values()["llamada:cloudtalk-2"].keys() < record.keys()


def test_a_write_of_the_function_that_came_too_late_is_repaired_by_a_replay(
    relay: RelayProcess, kv: Supabase
) -> None:
    """The function reads a record, then writes it. If the relay wrote in between, its values are lost."""
    run_edge_function(kv, "call.started", DATA | {"id": "1"})
    read_before = kv.values()["llamada:cloudtalk-1"]
    relay.post({"event": "call.ended", "data": ENDED | {"id": "1"}})
    known = {key: value for key, value in record_of(kv, "1", "Completada").items() if value is not None}
    kv.put({"llamada:cloudtalk-1": read_before})
    assert relay.command("replay", "--force", "--destination", "crm").returncode == 0
    assert record_of(kv, "1", "Completada") == known
