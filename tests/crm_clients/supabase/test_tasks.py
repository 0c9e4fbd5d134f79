"""Against a real PostgREST on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Retraction, Retry
from crm_clients.follow_up import FollowUpRules
from crm_clients.supabase import SupabaseClient
from relay.call import Call, Status
from relay.standards.office_hours import OfficeHours
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

KEY = "tarea:cloudtalk-1"
"""The key of the task of the call `cloudtalk-1`."""
SHARED = "tarea:cloudtalk-0"
"""The key of the task of repeated calls, of which `cloudtalk-0` was the first."""
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


def tasks_of(kv: Supabase) -> dict[str, Any]:
    return {key: value for key, value in kv.values().items() if key.startswith("tarea:")}


def answered(**changes: Any) -> Any:
    return push(call(version=2, status=Status.COMPLETED, follow_up=False, **changes), "status", "follow_up")


async def test_a_missed_call_creates_a_task_after_its_record(kv: Supabase, client: SupabaseClient) -> None:
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    assert kv.values()[KEY] == TASK
    assert [(seen.method, seen.rows) for seen in kv.log] == [("GET", 0), ("POST", 1)] * 2


async def test_calls_without_a_task_cost_no_request_more(kv: Supabase, client: SupabaseClient) -> None:
    await client.upsert([push(call(status=Status.COMPLETED, follow_up=False))])
    assert [(seen.method, seen.rows) for seen in kv.log] == [("GET", 0), ("POST", 1)]


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
    [
        ("2024-01-15T21:59:00Z", "2024-01-15"),
        ("2024-01-15T22:01:00Z", "2024-01-16"),  # just after midnight in Madrid
        ("2024-01-15T23:01:00Z", "2024-01-16"),
    ],
)
async def test_a_task_is_due_an_hour_later_in_the_teams_time_zone(
    kv: Supabase, client: SupabaseClient, started_at: str, day: str
) -> None:
    await client.upsert([push(call(started_at=started_at))])
    (task,) = tasks_of(kv).values()
    assert task["fechaVencimiento"] == day


async def test_a_task_of_a_call_outside_the_office_hours_is_due_at_the_next_opening(
    kv: Supabase, connect: Connect
) -> None:
    rules = FollowUpRules(hours=OfficeHours(ZoneInfo("Europe/Madrid"), ((540, 1080),)))
    client = connect(layout="kv", tasks=True, follow_up=rules)
    await client.upsert([push(call(started_at="2024-01-12T20:00:00Z"))])  # Friday evening
    (task,) = tasks_of(kv).values()
    assert task["fechaVencimiento"] == "2024-01-15"


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
    other = "+34600000002"
    calls = [call("cloudtalk-1"), call("cloudtalk-2", external_number=other)]
    await client.upsert([push(each) for each in calls])
    touched = "tarea:cloudtalk-2"
    kv.put({touched: kv.values()[touched] | {"estado": "En Progreso"}})
    merged = [msgspec.structs.replace(each, merged_into="cloudtalk-3") for each in calls]
    assert types_of(await client.retract([Retraction(each) for each in merged])) == [Delivered, Delivered]
    assert set(kv.values()) == {touched}
    await client.upsert([push(call("cloudtalk-3"))])
    assert kv.values()["tarea:cloudtalk-3"] == TASK | {"id": "cloudtalk-3"}, (
        "the call that it became part of is missed too"
    )


# --- repeated calls -----------------------------------------------------------------------------


def repeated(n: int, **changes: Any) -> Call:
    return call(f"cloudtalk-{n}", started_at=f"2024-01-15T1{n}:00:00Z", **changes)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("together", [True, False])
async def test_repeated_calls_share_a_task_that_says_how_often(
    kv: Supabase, client: SupabaseClient, order: tuple[int, ...], *, together: bool
) -> None:
    pushes = [push(repeated(n)) for n in order]
    for batch in [pushes] if together else [[each] for each in pushes]:
        assert set(types_of(await client.upsert(batch))) == {Delivered}
    text = "3 llamadas perdidas de +34600000001, 15/01/2024: 11:00, 12:00, 13:00"
    # The first call that was delivered names the task, of those in one batch the earliest.
    (key,) = tasks_of(kv)
    assert key == (SHARED if together else f"tarea:cloudtalk-{order[0]}")
    task = tasks_of(kv)[key]
    assert (task["descripcion"], task["prioridad"], task["estado"]) == (text, "Alta", "Pendiente")
    back = {"follow_up": False, "called_back_at": "2024-01-15T12:30:00Z", "called_back_by": "Ana Gil"}
    for n in order:
        assert types_of(await client.upsert([push(repeated(n, **back), "follow_up")])) == [Delivered]
    task = tasks_of(kv)[key]
    remark = (
        "Se habló con el cliente 2 h 30 min después (agente: Ana Gil): tarea completada por CloudTalk Relay."
    )
    assert (task["descripcion"], task["estado"]) == (f"{text}\n{remark}", "Completada")


async def test_what_a_person_changed_in_a_shared_task_stays(kv: Supabase, client: SupabaseClient) -> None:
    await client.upsert([push(repeated(0))])
    touched = kv.values()[SHARED] | {"descripcion": "Ya la llamo yo", "estado": "En Progreso"}
    kv.put({SHARED: touched})
    await client.upsert([push(repeated(1))])
    assert tasks_of(kv) == {SHARED: touched}
    kv.put({SHARED: touched | {"prioridad": "Baja"}})
    await client.upsert([push(repeated(2))])
    assert tasks_of(kv) == {SHARED: touched | {"prioridad": "Baja"}}
    back = {"follow_up": False, "called_back_at": "2024-01-15T12:30:00Z"}
    await client.upsert([push(repeated(n, **back), "follow_up") for n in range(3)])
    assert tasks_of(kv) == {SHARED: touched | {"prioridad": "Baja"}}


@pytest.mark.parametrize("by_relay", [True, False])
async def test_a_call_after_the_task_was_closed_gets_another_one(
    kv: Supabase, client: SupabaseClient, *, by_relay: bool
) -> None:
    await client.upsert([push(repeated(0))])
    if by_relay:
        back = repeated(0, follow_up=False, called_back_at="2024-01-15T10:05:00Z")
        await client.upsert([push(back, "follow_up")])
    else:
        kv.put({SHARED: kv.values()[SHARED] | {"estado": "Completada"}})
    closed = kv.values()[SHARED]
    for _ in range(2):
        assert types_of(await client.upsert([push(repeated(1))])) == [Delivered]
    tasks = tasks_of(kv)
    assert (set(tasks), tasks[SHARED]) == ({SHARED, KEY}, closed)
    assert tasks[KEY]["descripcion"] == "Llamada perdida de +34600000001, 15/01/2024 12:00"
    assert types_of(await client.forget([Retraction(repeated(0))])) == [Delivered]
    assert set(tasks_of(kv)) == {KEY}, "only the task that named the call is deleted"
    assert types_of(await client.forget([Retraction(repeated(1))])) == [Delivered]
    assert kv.values() == {}


async def test_a_task_that_the_relay_completed_is_open_again_if_nobody_called_back_after_all(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(repeated(0))])
    pending = tasks_of(kv)
    back = repeated(0, follow_up=False, called_back_at="2024-01-15T10:05:00Z")
    await client.upsert([push(back, "follow_up")])
    assert tasks_of(kv)[SHARED]["estado"] == "Completada"
    await client.upsert([push(repeated(0), "follow_up")])
    assert tasks_of(kv) == pending
    await client.upsert([push(back, "follow_up")])
    kv.put({SHARED: tasks_of(kv)[SHARED] | {"descripcion": "Hablado con Ana"}})
    await client.upsert([push(repeated(0), "follow_up")])
    assert tasks_of(kv)[SHARED]["descripcion"] == "Hablado con Ana", "a person changed it"


async def test_a_task_that_a_person_deleted_stays_deleted(kv: Supabase, client: SupabaseClient) -> None:
    await client.upsert([push(repeated(0))])
    kv.execute("delete from kv_store_d03ded2a where key like 'tarea:%'")
    await client.upsert([push(repeated(1)), push(repeated(0, follow_up=False), "follow_up")])
    assert tasks_of(kv) == {}


async def test_a_task_without_one_of_its_calls_says_so_no_longer(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(repeated(n)) for n in range(3)])
    await client.upsert([push(repeated(0, status=Status.COMPLETED, follow_up=False), "status", "follow_up")])
    assert "2 llamadas perdidas" in tasks_of(kv)[SHARED]["descripcion"]
    assert types_of(await client.forget([Retraction(repeated(1))])) == [Delivered]
    task = tasks_of(kv)[SHARED]
    assert task["descripcion"] == "Llamada perdida de +34600000001, 15/01/2024 13:00"
    assert (task["prioridad"], task["estado"]) == ("Alta", "Pendiente")
    assert types_of(await client.forget([Retraction(repeated(2))])) == [Delivered]
    assert tasks_of(kv) == {}
    await client.upsert([push(repeated(3))])
    assert set(tasks_of(kv)) == {"tarea:cloudtalk-3"}


async def test_callers_who_cannot_be_called_back_do_not_share_a_task(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(repeated(n, external_number=None)) for n in range(2)])
    assert set(tasks_of(kv)) == {"tarea:cloudtalk-0", "tarea:cloudtalk-1"}


async def test_no_task_is_created_for_a_call_that_is_older_than_the_window(
    kv: Supabase, connect: Connect
) -> None:
    rules = FollowUpRules(window=timedelta(days=7), now=lambda: datetime(2024, 1, 22, 10, 30, tzinfo=UTC))
    client = connect(layout="kv", tasks=True, follow_up=rules)
    await client.upsert([push(repeated(0)), push(repeated(1))])
    assert tasks_of(kv)[KEY]["descripcion"] == "Llamada perdida de +34600000001, 15/01/2024 12:00"


async def test_a_task_whose_state_was_lost_is_found(kv: Supabase, connect: Connect) -> None:
    await connect(layout="kv", tasks=True).upsert([push(repeated(0))])
    client = connect(layout="kv", tasks=True)  # as after a response that never came
    await client.upsert([push(repeated(0))])
    await client.upsert([push(repeated(0, follow_up=False), "follow_up")])
    assert tasks_of(kv)[SHARED]["estado"] == "Completada"


async def test_a_task_that_cannot_be_read_or_written_is_written_by_the_next_attempt(
    kv: Supabase, client: SupabaseClient
) -> None:
    for requests_before in (2, 3):
        with kv.gateway.answering(JSONResponse({}, 503), after=requests_before):
            assert types_of(await client.upsert([push(repeated(0))])) == [Retry]
        assert tasks_of(kv) == {}
        kv.execute("truncate kv_store_d03ded2a")
    assert types_of(await client.upsert([push(repeated(0))])) == [Delivered]
    assert set(tasks_of(kv)) == {SHARED}


async def test_the_tasks_of_a_number_are_found_after_its_state_was_deleted(
    kv: Supabase, connect: Connect
) -> None:
    client = connect(layout="kv", tasks=True)
    await client.upsert([push(repeated(0))])
    await client.upsert([push(repeated(0, follow_up=False), "follow_up")])
    await client.upsert([push(repeated(1))])
    assert set(tasks_of(kv)) == {SHARED, KEY}
    await connect(layout="kv", tasks=True).forget([Retraction(repeated(0)), Retraction(repeated(1))])
    assert kv.values() == {}


async def test_a_task_that_should_be_completed_is_a_difference(kv: Supabase, client: SupabaseClient) -> None:
    missed, paid = push(repeated(0)), push(repeated(0, version=2, follow_up=False), "follow_up")
    await client.upsert([missed])
    pending = kv.values()[SHARED]

    async def differences() -> list[frozenset[str]]:
        read = await client.read([paid])
        assert isinstance(read, dict)
        return [stored.different for stored in read["cloudtalk-0"]]

    kv.put({"llamada:cloudtalk-0": kv.values()["llamada:cloudtalk-0"] | {"seguimiento": False}})
    assert await differences() == [{"follow_up"}]
    await client.upsert([paid])
    assert await differences() == [frozenset()]
    kv.put({SHARED: pending})  # the project was restored from a backup
    assert await differences() == [{"follow_up"}]
    await client.upsert([paid])
    assert tasks_of(kv)[SHARED]["estado"] == "Completada"
    kv.put({SHARED: pending | {"estado": "En Progreso"}})
    assert await differences() == [frozenset()]
