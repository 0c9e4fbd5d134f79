"""Against a real PostgREST on a real PostgreSQL."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Retry
from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.customers import Customers
from crm_clients.supabase.layout_kv import KvLayout
from tests.support.clients import make_retraction
from tests.support.fake_time import FakeTime
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

RECORD = "llamada:cloudtalk-1"
NO_CONTACT: dict[str, Any] = {"contact_name": None}


@pytest.fixture
def client(kv: Supabase, connect: Connect) -> SupabaseClient:
    del kv
    return connect(layout="kv", match_clients=True)


@pytest.fixture
def time(client: SupabaseClient) -> FakeTime:
    """The time of the client's customers, which decides when they are read again."""
    time = FakeTime()
    set_customers(client, Customers(client._table, "ES", clock=time.clock))
    return time


def set_customers(client: SupabaseClient, customers: Customers) -> None:
    assert isinstance(client._layout, KvLayout)
    client._layout._customers = customers


def cliente(telefono: Any, id_: Any = "c-1", nombre: str = "Ana García") -> dict[str, Any]:
    """A customer as the CRM's pages write it."""
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
            "910000001/600000001",
        ),
        *(
            "600 000 001 Ana",
            "Luis 910 000 001 Ana 600 000 001",
            "910 000 001 600 000 001",
        ),
    ],
)
async def test_a_customer_is_found_by_a_phone_number_in_any_spelling(
    kv: Supabase, client: SupabaseClient, telefono: Any
) -> None:
    kv.put(cliente(telefono) | cliente("+34600000002", "c-2") | cliente("", "c-3") | cliente(None, "c-4"))
    await client.upsert([push(call(contact_id="7"))])
    assert linked(kv) == ("c-1", "Ana García")


@pytest.mark.parametrize("external", ["101", "+266696687", "+86282452253"])
async def test_a_caller_who_cannot_be_called_is_no_customer(
    kv: Supabase, client: SupabaseClient, external: str
) -> None:
    kv.put(cliente(external))
    await client.upsert([push(call(external_number=external, **NO_CONTACT))])
    assert linked(kv) == ("unknown", "Desconocido")


async def test_an_id_keeps_its_type_and_a_customer_without_an_id_has_that_of_its_key(
    kv: Supabase, client: SupabaseClient
) -> None:
    kv.put(cliente("+34600000001", 17))
    kv.put({"cliente:k-9": {"nombre": "Sin Id", "telefono": "+34600000002"}})
    await client.upsert([push(call()), push(call("cloudtalk-2", external_number="+34600000002"))])
    assert linked(kv) == (17, "Ana García")
    assert linked(kv, "llamada:cloudtalk-2") == ("k-9", "Sin Id")


async def test_without_a_customer_the_record_has_the_contact_of_cloudtalk(
    kv: Supabase, client: SupabaseClient
) -> None:
    await client.upsert([push(call(contact_id="7", contact_name="Leo"))])
    withheld = push(call("cloudtalk-2", external_number=None, contact_name=None))
    await client.upsert([withheld])
    assert linked(kv) == ("7", "Leo")
    assert linked(kv, "llamada:cloudtalk-2") == ("unknown", "Desconocido")


async def test_a_number_of_two_customers_links_to_neither(kv: Supabase, client: SupabaseClient) -> None:
    kv.put(cliente("600000001") | cliente("+34 600000001", "c-2", "Otro"))
    await client.upsert([push(call(**NO_CONTACT))])
    assert linked(kv) == ("unknown", "Desconocido")


@pytest.mark.parametrize("before", [NO_CONTACT, {"contact_id": "7", "contact_name": "Leo"}])
async def test_a_customer_that_is_added_later_is_linked_by_a_push_after_a_minute(
    kv: Supabase, client: SupabaseClient, time: FakeTime, before: dict[str, Any]
) -> None:
    data = {"contact_id": 7, "contact_name": "Leo"}
    await client.upsert([push(call(cloudtalk_data=data, **before))])
    kv.put(cliente("600000001"))
    later = push(call(version=2, recording_url="https://r/1.wav", **before), "recording_url")
    await client.upsert([later])
    assert linked(kv) != ("c-1", "Ana García"), "the customers were read again within the minute"
    time.now += 60
    await client.upsert([later])
    assert linked(kv) == ("c-1", "Ana García")


@pytest.mark.parametrize("edit", [{"clienteId": "c-9"}, {"clienteNombre": "Sra. García"}])
async def test_a_customer_that_a_person_chose_stays(
    kv: Supabase, client: SupabaseClient, time: FakeTime, edit: dict[str, str]
) -> None:
    await client.upsert([push(call(**NO_CONTACT))])
    set_by_hand = kv.values()[RECORD] | edit
    kv.put({RECORD: set_by_hand} | cliente("600000001"))
    time.now += 300
    await client.upsert(
        [push(call(version=2, contact_id="8", contact_name="Eva"), "contact_id", "contact_name")]
    )
    await client.upsert([push(call(version=3))])
    assert linked(kv) == (set_by_hand["clienteId"], set_by_hand["clienteNombre"])


async def test_a_linked_customer_stays_if_cloudtalk_has_a_contact_later(
    kv: Supabase, client: SupabaseClient
) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call(**NO_CONTACT))])
    kv.log.clear()
    await client.upsert(
        [push(call(version=2, contact_id="8", contact_name="Eva"), "contact_id", "contact_name")]
    )
    assert linked(kv) == ("c-1", "Ana García")
    assert [seen.method for seen in kv.log] == ["GET"]


async def test_a_task_has_the_customer_of_its_call(kv: Supabase, connect: Connect) -> None:
    kv.put(cliente("600000001"))
    await connect(layout="kv", match_clients=True, tasks=True).upsert([push(call())])
    task = kv.values()["tarea:cloudtalk-1"]
    assert (task["clienteId"], task["clienteNombre"]) == ("c-1", "Ana García")
    assert task["titulo"] == "Devolver llamada a Ana García"


async def test_customers_are_read_in_pages_and_then_kept_in_memory(
    kv: Supabase, client: SupabaseClient
) -> None:
    set_customers(client, Customers(client._table, "ES", page_rows=2))
    for n in range(5):
        kv.put(cliente(f"+3460000000{n}", f'{n},"(x)\\', f"N{n}"))
    kv.put({"clienteX": {"telefono": "+34600000009"}})
    pushes = [push(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in range(5)]
    await client.upsert(pushes)
    assert [linked(kv, f"llamada:cloudtalk-{n}")[1] for n in range(5)] == [f"N{n}" for n in range(5)]
    reads = [seen for seen in kv.log if "nombre" in seen.query.get("select", "")]
    assert len(reads) == 4
    kv.log.clear()
    await client.upsert(pushes)
    assert [seen.method for seen in kv.log] == ["GET"]


async def test_customers_are_read_again_after_five_minutes(
    kv: Supabase, client: SupabaseClient, time: FakeTime
) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call(**NO_CONTACT))])
    kv.put(cliente("600000001", nombre="Ana G. Pérez"))
    time.now += 300
    await client.upsert([push(call("cloudtalk-2"))])
    assert linked(kv, "llamada:cloudtalk-2") == ("c-1", "Ana G. Pérez")


async def test_a_failed_read_of_the_customers_delays_calls_only_if_there_was_no_read_before(
    kv: Supabase, client: SupabaseClient, time: FakeTime
) -> None:
    kv.put(cliente("600000001"))
    with kv.gateway.answering(JSONResponse({}, 503), times=1):
        assert types_of(await client.upsert([push(call())])) == [Retry]
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    time.now += 300
    with kv.gateway.answering(JSONResponse({}, 503), times=1):
        assert types_of(await client.upsert([push(call("cloudtalk-2"))])) == [Delivered]
    assert linked(kv, "llamada:cloudtalk-2") == ("c-1", "Ana García")


async def test_forgetting_a_call_drops_the_customers_from_memory(
    kv: Supabase, client: SupabaseClient
) -> None:
    kv.put(cliente("600000001"))
    await client.upsert([push(call())])
    await client.forget([make_retraction("cloudtalk-1", "", 1)])
    kv.execute("delete from kv_store_d03ded2a")
    await client.upsert([push(call(**NO_CONTACT))])
    assert linked(kv) == ("unknown", "Desconocido")
