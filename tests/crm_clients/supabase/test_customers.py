"""Calls are linked to the CRM's own clients by their telephones, as people write them."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Retry
from crm_clients.supabase import SupabaseClient, customers
from tests.support.clients import merged
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, kinds, push

RECORD = "llamada:cloudtalk-1"
NOBODY: dict[str, Any] = {"contact_name": None}


@pytest.fixture
def client(kv: Supabase, connect: Connect) -> SupabaseClient:
    del kv
    return connect(layout="kv", match_clients=True)


def cliente(telefono: Any, id_: Any = "c-1", nombre: str = "Ana García") -> dict[str, Any]:
    return {f"cliente:{id_}": {"id": id_, "nombre": nombre, "telefono": telefono}}


def linked(kv: Supabase, key: str = RECORD) -> tuple[Any, Any]:
    record = kv.values()[key]
    return record["clienteId"], record["clienteNombre"]


@pytest.mark.parametrize(
    "telefono",
    [
        *("+34600000001", "600000001", "600 00 00 01", "0034 600-000-001", "(+34) 600.000.001", 600000001),
        *("34600000001", "+34\u00a0600\u202f000\u2009001", "600.000.001 (casa)", "móvil: 600000001 ext. 5"),
        *(
            "600000001 / 910000001",
            "910000001, 600000001",
            "910000001 o 600000001",
            "600000001\n+34600000001",
        ),
    ],
)
async def test_a_telephone_is_found_however_it_is_written(
    kv: Supabase, client: SupabaseClient, telefono: Any
) -> None:
    kv.put(cliente(telefono) | cliente("+34600000002", "c-2") | cliente("", "c-3") | cliente(None, "c-4"))
    await client.upsert([push(call(contact_id="7"))])
    assert linked(kv) == ("c-1", "Ana García")


async def test_an_id_stays_what_it_is_and_a_client_without_one_is_known_by_its_key(
    kv: Supabase, client: SupabaseClient
) -> None:
    kv.put(cliente("+34600000001", 17))
    kv.put({"cliente:k-9": {"nombre": "Sin Id", "telefono": "+34600000002"}})
    await client.upsert([push(call()), push(call("cloudtalk-2", external_number="+34600000002"))])
    assert linked(kv) == (17, "Ana García")
    assert linked(kv, "llamada:cloudtalk-2") == ("k-9", "Sin Id")


async def test_without_a_client_the_contact_of_cloudtalk_is_shown(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call(contact_id="7", contact_name="Leo"))])
    withheld = push(call("cloudtalk-2", external_number=None, contact_name=None))
    await client.upsert([withheld])
    assert linked(kv) == ("7", "Leo")
    assert linked(kv, "llamada:cloudtalk-2") == ("unknown", "Desconocido")


async def test_a_number_that_two_clients_share_links_to_neither(kv: Supabase, client: SupabaseClient) -> None:
    kv.put(cliente("600000001") | cliente("+34 600000001", "c-2", "Otro"))
    await client.upsert([push(call(**NOBODY))])
    assert linked(kv) == ("unknown", "Desconocido")


@pytest.mark.parametrize("before", [NOBODY, {"contact_id": "7", "contact_name": "Leo"}])
async def test_a_client_that_was_entered_later_is_linked_by_the_next_event(
    kv: Supabase, client: SupabaseClient, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any]
) -> None:
    data = {"contact_id": 7, "contact_name": "Leo"}
    await client.upsert([push(call(cloudtalk_data=data, **before))])
    kv.put(cliente("600000001"))
    later = push(call(version=2, recording_url="https://r/1.wav", **before), "recording_url")
    await client.upsert([later])
    assert linked(kv) != ("c-1", "Ana García"), "a miss was looked for again within the minute"
    monkeypatch.setattr(customers, "MISS_SECONDS", 0)
    await client.upsert([later])
    assert linked(kv) == ("c-1", "Ana García")


@pytest.mark.parametrize("theirs", [{"clienteId": "c-9"}, {"clienteNombre": "Sra. García"}])
async def test_what_a_person_set_stays(kv: Supabase, client: SupabaseClient, theirs: dict[str, str]) -> None:
    await client.upsert([push(call(**NOBODY))])
    set_by_hand = kv.values()[RECORD] | theirs
    kv.put({RECORD: set_by_hand} | cliente("600000001"))
    client._layout._customers.forget()  # type: ignore[attr-defined]  # as if minutes had gone by
    await client.upsert(
        [push(call(version=2, contact_id="8", contact_name="Eva"), "contact_id", "contact_name")]
    )
    await client.upsert([push(call(version=3))])
    assert linked(kv) == (set_by_hand["clienteId"], set_by_hand["clienteNombre"])


async def test_a_link_stays_when_cloudtalk_learns_of_a_contact(kv: Supabase, client: SupabaseClient) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call(**NOBODY))])
    kv.log.clear()
    await client.upsert(
        [push(call(version=2, contact_id="8", contact_name="Eva"), "contact_id", "contact_name")]
    )
    assert linked(kv) == ("c-1", "Ana García")
    assert [seen.method for seen in kv.log] == ["GET"]


async def test_a_task_is_the_same_clients(kv: Supabase, connect: Connect) -> None:
    kv.put(cliente("600000001"))
    await connect(layout="kv", match_clients=True, tasks=True).upsert([push(call())])
    task = kv.values()["tarea:cloudtalk-1"]
    assert (task["clienteId"], task["clienteNombre"]) == ("c-1", "Ana García")
    assert task["titulo"] == "Devolver llamada a Ana García"


async def test_clients_are_read_page_by_page_and_then_not_for_a_while(
    kv: Supabase, client: SupabaseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customers, "PAGE", 2)
    for n in range(5):
        kv.put(cliente(f"+3460000000{n}", f'{n},"(x)\\', f"N{n}"))
    kv.put({"clienteX": {"telefono": "+34600000009"}})
    pushes = [push(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in range(5)]
    await client.upsert(pushes)
    assert [linked(kv, f"llamada:cloudtalk-{n}")[1] for n in range(5)] == [f"N{n}" for n in range(5)]
    asked = [seen for seen in kv.log if "nombre" in seen.query.get("select", "")]
    assert len(asked) == 4
    kv.log.clear()
    await client.upsert(pushes)
    assert [seen.method for seen in kv.log] == ["GET"]


async def test_clients_are_read_anew_after_some_minutes(
    kv: Supabase, client: SupabaseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call(**NOBODY))])
    kv.put(cliente("600000001", nombre="Ana G. Pérez"))
    monkeypatch.setattr(customers, "REFRESH_SECONDS", 0)
    await client.upsert([push(call("cloudtalk-2"))])
    assert linked(kv, "llamada:cloudtalk-2") == ("c-1", "Ana G. Pérez")


async def test_clients_that_cannot_be_read_hold_the_calls_back_only_until_they_once_were(
    kv: Supabase, client: SupabaseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv.put(cliente("600000001"))
    with kv.gateway.answering(JSONResponse({}, 503), times=1):
        assert kinds(await client.upsert([push(call())])) == [Retry]
    assert kinds(await client.upsert([push(call())])) == [Delivered]
    monkeypatch.setattr(customers, "REFRESH_SECONDS", 0)
    with kv.gateway.answering(JSONResponse({}, 503), times=1):
        assert kinds(await client.upsert([push(call("cloudtalk-2"))])) == [Delivered]
    assert linked(kv, "llamada:cloudtalk-2") == ("c-1", "Ana García")


async def test_to_forget_a_call_forgets_the_clients_that_were_read(
    kv: Supabase, client: SupabaseClient
) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call())])
    await client.forget([merged("cloudtalk-1", "", 1)])
    kv.execute("delete from kv_store_d03ded2a")
    await client.upsert([push(call(**NOBODY))])
    assert linked(kv) == ("unknown", "Desconocido")
