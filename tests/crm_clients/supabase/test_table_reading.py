"""`read` of the layout `table`, on a real PostgREST: what is missing, doubled or different."""

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Misconfigured, Push, Retry, Stored, Throttled, Unauthorised
from crm_clients.supabase.rest import MAX_QUERY_BYTES
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push

ALL = frozenset(DELIVERED_FIELDS)

TYPES = {
    "started_at": "timestamp",
    "ended_at": "timestamptz(0)",
    "answered_at": "date",
    "duration_seconds": "text",
    "talking_seconds": "numeric(12, 2)",
    "follow_up": "text",
    "tags": "text[]",
    "cloudtalk_data": "json",
    "direction": "char(12)",
    "call_uuid": "uuid",
    "call_id": "bigint",
    "external_number": "bigint",
    "notes": "varchar(200)",
}
"""Types of columns in a table of a team, other than those of the setup SQL."""


def later(of: Call) -> Push:
    return Push(of, ALL, first=False)


def only(found: Any) -> Stored:
    assert isinstance(found, dict)
    [[stored]] = found.values()
    assert isinstance(stored, Stored)
    return stored


@pytest.fixture
def odd_types(supabase: Supabase) -> Iterator[str]:
    """A table whose columns have other types than those of the setup SQL."""
    supabase.create_table("odd_types")
    for column, type_ in TYPES.items():
        supabase.execute(f'alter table odd_types drop column "{column}", add column "{column}" {type_}')
    supabase.wait_for("odd_types", column="external_number")
    yield "odd_types"
    supabase.execute("drop table odd_types")


async def test_types_of_columns_are_no_differences(
    supabase: Supabase, connect: Connect, odd_types: str
) -> None:
    whole = call(
        call_uuid="44FE27CD-5268-4670-993E-0129AABBCCDD",
        answered_at="2024-01-15T10:00:05.900Z",
        ended_at="2024-01-15T10:01:01.750Z",
        tags=["vip", "a,b"],
        notes="trailing ",
    )
    client = connect(table=odd_types)
    [outcome] = await client.upsert([push(whole)])
    assert outcome.name == "delivered", outcome
    assert only(await client.read([later(whole)])).different == set()
    supabase.execute("update odd_types set ended_at = ended_at + interval '2 s', tags = '{vip}'")
    assert only(await client.read([later(whole)])).different == {"ended_at", "tags"}


async def test_what_people_changed_is_different_and_other_columns_are_not_read(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(constants={"source": "relay"}, fields={"transcript": ""}, table="teams")
    supabase.execute(client.setup_text() + "alter table teams add column stage text default 'new';")
    supabase.wait_for("teams", column="source")
    await client.upsert([push(call())])
    assert await client.read([later(call())]) == {"cloudtalk-1": [Stored("cloudtalk-1", 1)]}
    supabase.execute(
        "update teams set notes = 'Ana called', state = 'answered', source = 'Ana', stage = 'won', "
        "cloudtalk_data = cloudtalk_data || '{\"id\": 2}', tags = null"
    )
    assert only(await client.read([later(call())])).different == {"notes", "status", "cloudtalk_data", "tags"}
    supabase.execute("drop table teams")


async def test_a_label_or_a_value_of_a_later_version_is_different(connect: Connect) -> None:
    await connect().upsert([push(call())])
    relabelled = connect(labels={"missed": "Missed"})
    assert only(await relabelled.read([later(call())])) == Stored("cloudtalk-1", 1, frozenset({"status"}))
    newer = later(call(version=2, status=Status.COMPLETED, follow_up=False))
    assert only(await connect().read([newer])) == Stored("cloudtalk-1", 1, frozenset({"status", "follow_up"}))


async def test_rows_that_others_wrote_about_a_call_are_doubles(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    calls = [
        call(call_id="7", call_uuid="u"),
        call("cloudtalk-2", call_id="8"),
        call("cloudtalk-3", call_id="9"),
    ]
    await client.upsert([push(each) for each in calls])
    supabase.execute(
        "insert into calls (id, call_id, call_uuid) values "
        "('copy', '7', null), ('both', '7', 'u'), ('old', null, 'u'), ('other', '99', 'v')"
    )
    found = await client.read([later(each) for each in calls])
    assert isinstance(found, dict)
    assert [found["cloudtalk-1"][0], *sorted(found["cloudtalk-1"][1:], key=lambda s: str(s.remote_id))] == [
        Stored("cloudtalk-1", 1),
        *(Stored(id_, 0) for id_ in ("both", "copy", "old")),
    ]
    assert [len(found[f"cloudtalk-{n}"]) for n in (2, 3)] == [1, 1]


async def test_a_call_whose_row_is_gone_is_absent_although_a_copy_exists(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call())])
    supabase.execute("update calls set id = 'renamed'")
    assert await client.read([later(call())]) == {}


async def test_marked_rows_and_rows_of_other_calls_are_no_doubles(
    connect: Connect, supabase: Supabase
) -> None:
    client = connect(on_merge="mark")
    one, two = call(call_uuid="u"), call("cloudtalk-2", call_uuid="u")
    await client.upsert([push(one), push(two)])
    assert [len(records) for records in _mapping(await client.read([later(one), later(two)])).values()] == [
        1,
        1,
    ]
    supabase.execute("update calls set merged_into = 'cloudtalk-1' where id = 'cloudtalk-2'")
    assert len(_mapping(await client.read([later(one)]))["cloudtalk-1"]) == 1


async def test_an_id_that_the_column_cannot_hold_has_no_doubles(
    connect: Connect, supabase: Supabase, odd_types: str
) -> None:
    client = connect(table=odd_types)
    calls = [call(call_id="7", external_number=None), call("cloudtalk-2", call_id="8", external_number=None)]
    await client.upsert([push(each) for each in calls])
    supabase.execute("insert into odd_types (id, call_id) values ('copy', 7)")
    odd = [calls[0], msgspec.structs.replace(calls[1], call_id="no number")]
    found = _mapping(await client.read([later(each) for each in odd]))
    assert found["cloudtalk-1"][1:] == [Stored("copy", 0)]
    assert found["cloudtalk-2"] == [Stored("cloudtalk-2", 1, frozenset({"call_id"}))]


async def test_values_that_were_left_out_are_no_difference(connect: Connect, supabase: Supabase) -> None:
    supabase.create_table("narrow")
    supabase.execute(
        "create index on narrow ((notes::text)); create index on narrow ((cloudtalk_data::text))"
    )
    client = connect(table="narrow")
    large = call(notes="".join(f"{n}" for n in range(9_000)), cloudtalk_data={"a": [*range(9_000)]})
    [outcome] = await client.upsert([push(large)])
    assert outcome.code == "shortened", outcome
    assert only(await client.read([later(large)])).different == set()
    supabase.execute("update narrow set notes = 'by a person'")
    assert only(await client.read([later(large)])).different == {"notes"}
    supabase.execute("drop table narrow")


async def test_many_calls_need_requests_of_bounded_size(connect: Connect, supabase: Supabase) -> None:
    client = connect()
    calls = [call(f"cloudtalk-{n}-{'ñ' * 30}", call_id=str(n), call_uuid=f"{n:032}") for n in range(450)]
    await client.upsert([push(each) for each in calls])
    supabase.log.clear()
    found = _mapping(await client.read([later(each) for each in calls]))
    assert found == {each.id: [Stored(each.id, 1)] for each in calls}
    assert {seen.method for seen in supabase.log} == {"GET"}
    assert all(len(seen.target) < MAX_QUERY_BYTES + 600 for seen in supabase.log)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (JSONResponse({}, 503), Retry),
        (JSONResponse({}, 429, {"Retry-After": "7"}), Throttled),
        (JSONResponse({"code": "PGRST301"}, 401), Unauthorised),
        (JSONResponse({"code": "42501"}, 403), Misconfigured),
    ],
)
@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_a_failure_of_any_request_is_the_result(
    connect: Connect, supabase: Supabase, response: JSONResponse, expected: type, answered: int
) -> None:
    client = connect()
    one = call(call_uuid="u")
    await client.upsert([push(one)])
    with supabase.gateway.answering(response, after=answered):
        assert isinstance(await client.read([later(one)]), expected)


@pytest.mark.parametrize("column", ["call_id", "call_uuid"])
def test_doubles_are_found_by_an_index(supabase: Supabase, column: str) -> None:
    """A small table would be read as a whole, so the planner must not."""
    query = f"explain select id from calls where {column} in ('1', '2')"  # noqa: S608 - the test's own
    with psycopg.connect(supabase.dsn) as connection:
        connection.execute("set enable_seqscan = off")
        assert f"calls_{column}" in str(connection.execute(query.encode()).fetchall())


async def test_without_calls_nothing_is_requested(connect: Connect, supabase: Supabase) -> None:
    supabase.log.clear()
    assert await connect().read([]) == {}
    assert supabase.log == []


def _mapping(found: Any) -> dict[str, list[Stored]]:
    assert isinstance(found, dict), found
    return found
