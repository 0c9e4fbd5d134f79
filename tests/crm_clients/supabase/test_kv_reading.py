"""`read` of the layout `kv`, on a real PostgREST: what is missing, doubled or different."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Push, Retry, Stored, Unauthorised
from crm_clients.supabase.rest import MAX_QUERY_BYTES
from crm_clients.supabase.shorten import LEFT_OUT
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push

ALL = frozenset(DELIVERED_FIELDS)
KEY = "llamada:cloudtalk-1"


def later(of: Call, *fields: str) -> Push:
    return Push(of, frozenset(fields) or ALL, first=False)


def only(found: Any) -> Stored:
    assert isinstance(found, dict)
    [[stored]] = found.values()
    assert isinstance(stored, Stored)
    return stored


def change(kv: Supabase, **values: Any) -> None:
    kv.put({KEY: kv.values()[KEY] | values})


async def test_keys_of_other_programs_are_theirs(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", constants={"origen": "relay"}, fields={"state": "situacion"})
    await client.upsert([push(call())])
    assert await client.read([later(call())]) == {"cloudtalk-1": [Stored(KEY)]}
    change(kv, valoracion=5, origen="Ana", cloudtalkId="other")
    assert only(await client.read([later(call())])).different == set()
    change(
        kv, situacion="answered", duracion="9:59", fecha="2020-01-01T00:00:00Z", notas="Llamada CloudTalk - ?"
    )
    assert only(await client.read([later(call())])).different == {
        *("status", "duration_seconds", "started_at", "from", "to")
    }
    assert only(await client.read([later(call(), "started_at")])).different == {"started_at"}
    change(kv, notas="Ana called")
    assert only(await client.read([later(call(), "from", "to")])).different == set()


@pytest.mark.usefixtures("kv")
async def test_a_later_version_and_other_labels_are_different(connect: Connect) -> None:
    client = connect(layout="kv")
    await client.upsert([push(call())])
    newer = call(version=2, status=Status.COMPLETED, follow_up=False)
    assert only(await client.read([later(newer)])).different == {"status", "follow_up"}
    relabelled = connect(layout="kv", labels={"missed": "Missed"})
    assert only(await relabelled.read([later(call())])).different == {"status"}


async def test_a_customer_whom_people_chose_or_added_is_no_difference(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", match_clients=True)
    kv.put({"cliente:7": {"id": "7", "nombre": "Ana", "telefono": "+34600000001"}})
    await client.upsert([push(call())])
    assert kv.values()[KEY]["clienteId"] == "7"
    assert only(await client.read([later(call())])).different == set()
    change(kv, clienteId="8", clienteNombre="Eva")
    assert only(await client.read([later(call())])).different == set()
    kv.log.clear()
    await client.read([later(call())])
    assert not any("cliente" in seen.target for seen in kv.log)


async def test_a_task_that_people_deleted_is_no_difference(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv", tasks=True)
    await client.upsert([push(call())])
    kv.execute("delete from kv_store_d03ded2a where key like 'tarea:%'")
    assert only(await client.read([later(call())])).different == set()


@pytest.mark.parametrize("value", [None, [], "text", 7, {}])
async def test_a_value_that_is_no_record_lacks_every_field(
    kv: Supabase, connect: Connect, value: Any
) -> None:
    kv.put({KEY: value})
    stored = only(await connect(layout="kv").read([later(call())]))
    assert {"status", "direction", "external_number", "cloudtalk_data"} <= stored.different


async def test_a_record_under_the_other_id_is_a_double(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    one, two = call(call_id="1", call_uuid="u"), call("cloudtalk-2", call_id="2", call_uuid="v")
    await client.upsert([push(one), push(two)])
    kv.put({"llamada:cloudtalk-u": {"id": "cloudtalk-u"}, "llamada:cloudtalk-w": {}})
    assert await client.read([later(one), later(two)]) == {
        "cloudtalk-1": [Stored(KEY), Stored("llamada:cloudtalk-u")],
        "cloudtalk-2": [Stored("llamada:cloudtalk-2")],
    }


async def test_values_that_were_left_out_are_no_difference(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    await client.upsert([push(call())])
    change(kv, cloudtalkData={"left_out": LEFT_OUT})
    assert only(await client.read([later(call())])).different == set()


async def test_many_calls_need_requests_of_bounded_size(kv: Supabase, connect: Connect) -> None:
    client = connect(layout="kv")
    calls = [call(f"cloudtalk-{n}-{'ñ' * 30}", call_id=f"9{n}", call_uuid=f"{n:032}") for n in range(450)]
    await client.upsert([push(each) for each in calls])
    kv.log.clear()
    assert await client.read([later(each) for each in calls]) == {
        each.id: [Stored(f"llamada:{each.id}")] for each in calls
    }
    assert {seen.method for seen in kv.log} == {"GET"}
    assert all(len(seen.target) < MAX_QUERY_BYTES + 600 for seen in kv.log)


@pytest.mark.parametrize(("status", "expected"), [(503, Retry), (401, Unauthorised)])
@pytest.mark.parametrize("answered", [0, 1])
@pytest.mark.parametrize("fields", [ALL, frozenset[str]()])
async def test_a_failure_of_any_request_is_the_result(
    kv: Supabase, connect: Connect, status: int, expected: type, answered: int, fields: frozenset[str]
) -> None:
    client = connect(layout="kv")
    await client.upsert([push(call(call_uuid="u"))])
    with kv.gateway.answering(JSONResponse({}, status), after=answered if fields else 0):
        found = await client.read([Push(call(call_uuid="u"), fields, first=False)])
    assert isinstance(found, expected)
