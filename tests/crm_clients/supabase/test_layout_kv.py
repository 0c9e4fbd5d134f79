"""Against a real PostgREST on a real PostgreSQL."""

from typing import Any

import httpx
import msgspec
import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from crm_clients.base import Delivered, Misconfigured, Push, Rejected, Retraction, Retry, Split, Stored
from crm_clients.supabase.settings import KV_TABLE
from relay.call import Call, CallEvent, Kind, Status, build_record, join, state_from_event
from relay.instants import Instant
from tests.support.clients import make_retraction
from tests.support.patience import PATIENCE
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

STARTED = 1_732_789_800_000_000
"""2024-11-28T10:30:00Z"""

DATA = {
    "id": "abc123",
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


def finished_call() -> Call:
    """The example call of the mission's documents, after its last event."""
    facts = {name: value for name, value in DATA.items() if name not in {"id", "started_at", "ended_at"}}
    facts |= {"call_id": "abc123", "started_at": STARTED, "ended_at": STARTED + 120_000_000}
    facts |= {"status": "answered", "agent_name": "Ana Agente"}
    states = [
        state_from_event(
            CallEvent(kind, "mission", "abc123", ("id:abc123",), None, facts, DATA),
            seq=n,
            received_at=Instant(at),
        )
        for n, (kind, at) in enumerate(
            [
                (Kind.STARTED, STARTED),
                (Kind.ANSWERED, STARTED + 7_000_000),
                (Kind.ENDED, STARTED + 121_000_000),
            ]
        )
    ]
    return build_record(join(join(states[0], states[1]), states[2]), id="cloudtalk-abc123", version=3)


# --- the record -------------------------------------------------------------------------------


async def test_the_record_of_a_finished_call_has_the_keys_that_the_crm_reads(
    kv: Supabase, connect: Connect
) -> None:
    outcomes = await connect(layout="kv").upsert([push(finished_call())])
    assert outcomes == [Delivered(remote_id="llamada:cloudtalk-abc123")]
    assert kv.values() == {
        "llamada:cloudtalk-abc123": {
            "id": "cloudtalk-abc123",
            "clienteId": "contact-id",
            "clienteNombre": "Nombre del Contacto",
            "tipo": "Entrante",
            "duracion": "2:00",
            "fecha": "2024-11-28T10:30:00Z",
            "estado": "Completada",
            "notas": "Llamada CloudTalk - +34612345678 → +34987654321",
            "cloudtalkId": "abc123",
            "cloudtalkData": DATA,
            "telefono": "+34612345678",
            "agente": "Ana Agente",
            "inicio": "2024-11-28T10:30:00Z",
            "fin": "2024-11-28T10:32:00Z",
            "tiempoRespuesta": 7,
            "grabacionUrl": None,
            "seguimiento": False,
        }
    }


async def test_a_partial_push_keeps_values_and_the_open_task(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", tasks=True)
    await client.upsert([push(call())])
    before = kv.values()
    late = call(status=Status.IN_PROGRESS, follow_up=False, external_number=None, contact_name="Bo")
    late = msgspec.structs.replace(late, from_=None, started_at=None, cloudtalk_data={"by": "Bo"})
    known = frozenset({"contact_name", "cloudtalk_data", "to"})  # `notas` has both numbers
    for first in (True, False):
        (outcome,) = await client.upsert([Push(late, known, first=first, partial=True)])
        assert outcome == Delivered(remote_id="llamada:cloudtalk-1", existed=first)
        record = before["llamada:cloudtalk-1"]
        changed = {"clienteNombre": "Bo", "cloudtalkData": record["cloudtalkData"] | {"by": "Bo"}}
        assert kv.values() == before | {"llamada:cloudtalk-1": record | changed}


async def test_unknown_values_have_the_placeholders_of_the_crm(kv: Supabase, connect: Connect) -> None:
    unknown = call(
        direction="outbound",
        status=Status.IN_PROGRESS,
        contact_name=None,
        duration_seconds=None,
        external_number=None,
        follow_up=False,
    )
    unknown = msgspec.structs.replace(unknown, from_=None)
    await connect(layout="kv").upsert([push(unknown)])
    record = kv.values()["llamada:cloudtalk-1"]
    assert (record["clienteId"], record["clienteNombre"]) == ("unknown", "Desconocido")
    assert (record["tipo"], record["duracion"], record["estado"]) == ("Saliente", "0:00", "En Progreso")
    assert record["notas"] == "Llamada CloudTalk - Desconocido → +34910000000"
    assert (record["telefono"], record["agente"], record["tiempoRespuesta"]) == (None, None, None)


async def test_labels_fields_and_constants_of_the_settings_apply_to_the_record(
    kv: Supabase, connect: Connect
) -> None:
    client = connect(
        layout="kv",
        labels={"missed": "Llamar"},
        fields={"summary": "resumen", "external_number": "movil", "agent_name": "", "state": "fase"},
        constants={"origen": "CloudTalk"},
    )
    await client.upsert([push(call(summary="short"))])
    kv.put({"llamada:cloudtalk-1": kv.values()["llamada:cloudtalk-1"] | {"origen": "a mano"}})
    await client.upsert([push(call(version=2, summary="long"), "summary")])
    record = kv.values()["llamada:cloudtalk-1"]
    assert (record["estado"], record["fase"], record["resumen"]) == ("Llamar", "missed", "long")
    assert (record["movil"], record["origen"]) == ("+34600000001", "a mano")
    assert record.keys().isdisjoint({"telefono", "agente"})


# --- existing records --------------------------------------------------------------------


async def test_only_changed_fields_are_written_and_edits_of_people_stay(
    kv: Supabase, connect: Connect
) -> None:
    client = connect(layout="kv")
    await client.upsert([push(call())])
    key = "llamada:cloudtalk-1"
    typed = {"notas": "Llamar mañana", "etiquetas": ["vip"], "clienteId": "c-9", "duracion": "9:99"}
    kv.put({key: kv.values()[key] | typed})
    await client.upsert([push(call(version=2, recording_url="https://r/1.wav"), "recording_url")])
    record = kv.values()[key]
    assert {name: record[name] for name in typed} == typed
    assert record["grabacionUrl"] == "https://r/1.wav"


async def test_nothing_is_written_if_nothing_changes(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", tasks=True)
    pushes = [
        push(call(f"cloudtalk-{n}", notes="a\0b", cloudtalk_data={"a": "\0", "b": 1.0})) for n in range(3)
    ]
    await client.upsert(pushes)
    kv.log.clear()
    assert types_of(await client.upsert(pushes)) == [Delivered] * 3
    assert types_of(await client.upsert([push(call(version=2, tags=["x"]), "tags")])) == [Delivered]
    assert [seen.method for seen in kv.log] == ["GET"] * 3, "records and tasks, then a record"


async def test_a_record_that_a_person_deleted_is_written_whole(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    whole = kv.values()
    kv.execute("delete from kv_store_d03ded2a where key = 'llamada:cloudtalk-1'")
    await client.upsert([push(call(f"cloudtalk-{n}", version=2), "notes") for n in (1, 2)])
    assert kv.values() == whole


async def test_a_value_that_is_not_an_object_is_replaced(kv: Supabase, connect: Connect) -> None:
    kv.put({"llamada:cloudtalk-1": "a person's text", "llamada:cloudtalk-2": None})
    await connect(layout="kv").upsert([push(call(f"cloudtalk-{n}", version=2), "notes") for n in (1, 2)])
    assert [record["id"] for record in kv.values().values()] == ["cloudtalk-1", "cloudtalk-2"]


async def test_a_record_of_the_previous_system_is_updated_and_keeps_its_keys(
    kv: Supabase, connect: Connect
) -> None:
    """The previous system never updated a call after its start."""
    before = {"id": "cloudtalk-1", "estado": "En Progreso", "valoracion": 5}
    kv.put({"llamada:cloudtalk-1": before})
    await connect(layout="kv").upsert([push(call())])
    record = kv.values()["llamada:cloudtalk-1"]
    assert (record["estado"], record["valoracion"]) == ("Perdida", 5)


@pytest.mark.parametrize("odd", ['a,b"(c)\\ñ', "x" * 200, "%", "a_b", "*"])
@pytest.mark.parametrize("prefix", ["llamada:", "ll_m%*\\:", ""])
async def test_keys_are_compared_exactly(kv: Supabase, connect: Connect, odd: str, prefix: str) -> None:
    others = {f"{prefix}axb": {"id": "other"}, "llamada:axb": {"id": "other"}, "llxmx:z": {"id": "other"}}
    kv.put(others)
    client = connect(layout="kv", kv_prefix=prefix)
    await client.upsert([push(call(odd))])
    kv.log.clear()
    await client.upsert([push(call(odd, version=2, notes="x"), "notes")])
    assert [seen.method for seen in kv.log] == ["GET"]
    assert set(kv.values()) == {*others, prefix + odd}
    assert await client.read([push(call(odd, notes="x")), push(call("absent"))]) == {
        odd: [Stored(prefix + odd)]
    }
    assert types_of(await client.retract([make_retraction(odd, "other", 2)])) == [Delivered]
    assert kv.values() == others


async def test_many_long_keys_are_read_in_several_requests(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    pushes = [push(call(f"cloudtalk-{n}{'ñ' * 150}")) for n in range(40)]
    assert types_of(await client.upsert(pushes)) == [Delivered] * 40
    kv.log.clear()
    assert types_of(await client.upsert(pushes)) == [Delivered] * 40
    assert len(kv.log) > 1
    assert all(len(seen.target) < 8_000 for seen in kv.log)


# --- retracting and forgetting ---------------------------------------------------------------------


async def test_a_merged_call_is_deleted_or_marked_as_on_merge_says(kv: Supabase, connect: Connect) -> None:
    client, marking = connect(layout="kv"), connect(layout="kv", on_merge="mark")
    await client.upsert([push(call(f"cloudtalk-{n}")) for n in (1, 2, 3)])
    assert types_of(await client.retract([make_retraction("cloudtalk-1", "cloudtalk-3", 2)])) == [Delivered]
    retractions = [
        make_retraction("cloudtalk-2", "cloudtalk-3", 2),
        make_retraction("cloudtalk-never", "cloudtalk-3", 2),
    ]
    assert types_of(await marking.retract(retractions)) == [Delivered, Delivered]
    assert set(kv.values()) == {"llamada:cloudtalk-2", "llamada:cloudtalk-3"}
    marked = kv.values()["llamada:cloudtalk-2"]
    assert (marked["merged_into"], marked["estado"]) == ("cloudtalk-3", "Perdida")


async def test_forgetting_deletes_the_record_and_the_task(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", tasks=True)
    numbers = ("+34600000001", "+34600000002")
    calls = [call(f"cloudtalk-{n}", external_number=number) for n, number in enumerate(numbers)]
    await client.upsert([push(each) for each in calls])
    keys = [f"tarea:{each.id}" for each in calls]
    kv.put({keys[0]: kv.values()[keys[0]] | {"estado": "En Progreso"}})
    assert types_of(await connect(layout="kv").forget([Retraction(calls[0])])) == [Delivered]
    assert set(kv.values()) == {"llamada:cloudtalk-1", keys[1]}


# --- failures --------------------------------------------------------------------------


async def test_a_refused_record_splits_a_batch_and_is_rejected_by_itself_with_its_task(
    kv: Supabase, connect: Connect
) -> None:
    kv.execute(f"alter table {KV_TABLE} add constraint no_robots check (value->>'agente' <> 'Robot')")
    try:
        client = connect(layout="kv", tasks=True)
        good, bad = push(call("cloudtalk-1")), push(call("cloudtalk-2", agent_name="Robot"))
        assert types_of(await client.upsert([good, bad])) == [Split, Split]
        [outcome] = await client.upsert([bad])
        assert isinstance(outcome, Rejected)
        assert outcome.code == "23514"
        assert kv.values() == {}
    finally:
        kv.execute(f"alter table {KV_TABLE} drop constraint no_robots")


async def test_nothing_is_written_if_the_records_cannot_be_read(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    with kv.gateway.answering(JSONResponse({}, 503, {"Retry-After": "7"}), times=1):
        outcomes = await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    assert types_of(outcomes) == [Retry, Retry]
    with kv.gateway.answering(PlainTextResponse("<html>"), times=1):
        [outcome] = await client.upsert([push(call())])
    assert isinstance(outcome, Misconfigured)
    assert {seen.method for seen in kv.log} == {"GET"}
    assert kv.values() == {}


async def test_an_outage_between_reading_and_writing_is_a_retry(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    with kv.gateway.answering(JSONResponse({}, 502), after=1):
        assert types_of(await client.upsert([push(call())])) == [Retry]
    assert types_of(await client.upsert([push(call())])) == [Delivered]


# --- setup and check -------------------------------------------------------------------------


async def test_the_setup_sql_creates_a_table_that_browsers_cannot_read(
    kv: Supabase, connect: Connect
) -> None:
    kv.execute(f"drop table {KV_TABLE}; notify pgrst, 'reload schema'")
    client = connect(layout="kv")
    for _ in range(2):
        kv.execute(client.setup_text())
    kv.wait_for(KV_TABLE, column="key")
    assert [finding.ok for finding in await client.check()] == [True]
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    kv.execute("grant select on kv_store_d03ded2a to anon")
    async with httpx.AsyncClient(headers={"apikey": kv.publishable_key}, timeout=PATIENCE) as browser:
        response = await browser.get(f"{kv.url}/rest/v1/{KV_TABLE}")
    kv.execute("revoke select on kv_store_d03ded2a from anon")
    assert response.json() == []


@pytest.mark.parametrize(
    ("breaking", "repairing", "code"),
    [
        ("revoke update on {} from service_role", "grant update on {} to service_role", "missing_grant"),
        ("revoke delete on {} from service_role", "grant delete on {} to service_role", "missing_grant"),
        ("alter table {} rename value to val", "alter table {} rename val to value", "missing_column"),
    ],
)
async def test_check_finds_what_is_missing_and_writes_nothing(
    kv: Supabase, connect: Connect, breaking: str, repairing: str, code: str
) -> None:
    kv.put({"cliente:1": {"id": "1"}})
    kv.execute(breaking.format(KV_TABLE))
    try:
        [finding] = await connect(layout="kv").check()
    finally:
        kv.execute(repairing.format(KV_TABLE))
    assert finding.code == code
    assert kv.values() == {"cliente:1": {"id": "1"}}


async def test_the_values_can_be_in_another_table(supabase: Supabase, connect: Connect) -> None:
    supabase.create_kv("own_values")
    settings: dict[str, Any] = {"layout": "kv", "table": "own_values"}
    assert types_of(await connect(**settings).upsert([push(call())])) == [Delivered]
    assert set(supabase.values("own_values")) == {"llamada:cloudtalk-1"}
