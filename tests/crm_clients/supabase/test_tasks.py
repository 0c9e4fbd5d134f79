"""Against a real PostgREST on a real PostgreSQL."""

from typing import Any

import pytest

from crm_clients.base import Delivered
from crm_clients.supabase import SupabaseClient
from relay.call import Status
from tests.support.clients import make_retraction
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

KEY = "tarea:cloudtalk-1"
TASK = {
    "id": "cloudtalk-1",
    "clienteId": "unknown",
    "clienteNombre": "Zoë Ñandú 🎉",
    "titulo": "Devolver llamada a Zoë Ñandú 🎉",
    "descripcion": "Llamada perdida de +34600000001, 15/01/2024 11:00",
    "fechaVencimiento": "2024-01-15",
    "prioridad": "Alta",
    "estado": "Pendiente",
    "tipo": "Llamada",
}


@pytest.fixture
def client(kv: Supabase, connect: Connect) -> SupabaseClient:
    del kv
    return connect(layout="kv", tasks=True)


def answered(**changes: Any) -> Any:
    return push(call(version=2, status=Status.COMPLETED, follow_up=False, **changes), "status", "follow_up")


async def test_a_missed_call_creates_a_task_in_the_same_request(kv: Supabase, client: SupabaseClient) -> None:
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    assert kv.values()[KEY] == TASK
    assert [(seen.method, seen.rows) for seen in kv.log] == [("GET", 0), ("POST", 2)]


async def test_no_task_is_created_for_an_answered_call_or_if_tasks_are_off(
    kv: Supabase, client: SupabaseClient, connect: Connect
) -> None:
    await client.upsert([push(call(status=Status.COMPLETED, follow_up=False))])
    await connect(layout="kv").upsert([push(call("cloudtalk-2"))])
    assert set(kv.values()) == {"llamada:cloudtalk-1", "llamada:cloudtalk-2"}


async def test_a_call_that_is_missed_after_its_first_delivery_creates_a_task(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call(status=Status.IN_PROGRESS, follow_up=False))])
    await client.upsert([push(call(version=2), "status", "follow_up")])
    assert kv.values()[KEY] == TASK


@pytest.mark.parametrize(
    ("started_at", "day"),
    [("2024-01-15T22:59:00Z", "2024-01-15"), ("2024-01-15T23:01:00Z", "2024-01-16")],
)
async def test_a_task_is_due_on_the_day_of_the_call_in_the_teams_time_zone(
    kv: Supabase, client: SupabaseClient, started_at: str, day: str
) -> None:
    await client.upsert([push(call(started_at=started_at))])
    assert kv.values()[KEY]["fechaVencimiento"] == day


async def test_a_task_without_a_customer_names_the_number(kv: Supabase, client: SupabaseClient) -> None:
    await client.upsert([push(call(contact_name=None))])
    assert kv.values()[KEY]["titulo"] == "Devolver llamada a +34600000001"


@pytest.mark.parametrize(
    ("by", "remark"),
    [
        (None, "Se habló con el cliente 2 h 5 min después: tarea completada por CloudTalk Relay."),
        ("Ana Gil", "Se habló con el cliente 2 h 5 min después (agente: Ana Gil): tarea completada por"),
    ],
)
async def test_a_call_back_completes_the_task_and_says_after_how_long(
    kv: Supabase, client: SupabaseClient, by: str | None, remark: str
) -> None:
    await client.upsert([push(call())])
    later = call(version=2, follow_up=False, called_back_at="2024-01-15T12:05:00Z", called_back_by=by)
    assert types_of(await client.upsert([push(later, "follow_up", "called_back_at")])) == [Delivered]
    task = kv.values()[KEY]
    assert task["estado"] == "Completada"
    assert remark in task["descripcion"]


async def test_a_completed_task_stays_completed_when_the_recording_arrives(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call())])
    kv.put({KEY: TASK | {"estado": "Completada"}})
    await client.upsert([push(call(version=2, recording_url="https://r/1.wav"), "recording_url")])
    assert kv.values()[KEY] == TASK | {"estado": "Completada"}


async def test_a_deleted_task_is_not_created_again_when_the_recording_arrives(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call())])
    kv.execute("delete from kv_store_d03ded2a where key like 'tarea:%'")
    await client.upsert([push(call(version=2, recording_url="https://r/1.wav"), "recording_url")])
    assert KEY not in kv.values()


async def test_an_existing_task_is_not_overwritten(kv: Supabase, client: SupabaseClient) -> None:
    await client.upsert([push(call())])
    kv.put({KEY: TASK | {"prioridad": "Baja"}})
    await client.upsert([push(call(version=2, status=Status.VOICEMAIL))])
    assert kv.values()[KEY]["prioridad"] == "Baja"


async def test_an_untouched_task_is_completed_with_a_remark_if_the_call_proves_answered(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call())])
    assert types_of(await client.upsert([answered(contact_name="Ana", contact_id="7")])) == [Delivered]
    task = kv.values()[KEY]
    assert task["estado"] == "Completada"
    assert task["descripcion"].startswith(TASK["descripcion"] + "\n")
    assert "atendida" in task["descripcion"]
    assert {k: v for k, v in task.items() if k not in {"estado", "descripcion"}} == {
        k: v for k, v in TASK.items() if k not in {"estado", "descripcion"}
    }
    kv.log.clear()
    await client.upsert([answered()])
    assert "POST" not in {seen.method for seen in kv.log}


@pytest.mark.parametrize(
    ("before", "after"), [(None, "2024-01-15T10:00:00Z"), ("2024-01-14T10:00:00Z", None)]
)
async def test_a_task_counts_as_untouched_if_the_time_of_the_call_changed_later(
    kv: Supabase, client: SupabaseClient, before: str | None, after: str | None
) -> None:
    await client.upsert([push(call(started_at=before, ended_at=None))])
    await client.upsert([answered(started_at=after, ended_at=None)])
    assert kv.values()[KEY]["estado"] == "Completada"


@pytest.mark.parametrize(
    "touched",
    [
        TASK | {"estado": "En Progreso"},
        TASK | {"fechaVencimiento": "2024-02-01"},
        TASK | {"descripcion": "mine"},
        TASK | {"asignado": "Ana"},
        {"id": "cloudtalk-1"},
        "a text",
        None,
    ],
)
async def test_a_task_that_a_person_changed_stays(kv: Supabase, client: SupabaseClient, touched: Any) -> None:
    await client.upsert([push(call())])
    kv.put({KEY: touched})
    await client.upsert([answered()])
    assert kv.values()[KEY] == touched


async def test_the_task_of_a_merged_call_is_deleted_unless_a_person_changed_it(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    kv.put({"tarea:cloudtalk-2": TASK | {"estado": "En Progreso"}})
    retractions = [make_retraction(f"cloudtalk-{n}", "cloudtalk-3", 2) for n in (1, 2)]
    assert types_of(await client.retract(retractions)) == [Delivered, Delivered]
    assert set(kv.values()) == {"tarea:cloudtalk-2"}
