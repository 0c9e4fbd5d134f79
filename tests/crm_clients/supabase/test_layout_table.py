"""Against a real PostgREST on a real PostgreSQL."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Misconfigured, Outdated, Push, Rejected, Retry, Stored
from crm_clients.supabase import SupabaseSettings
from crm_clients.supabase.batches import MAX_ROWS
from crm_clients.supabase.rest import MAX_QUERY_BYTES
from relay.call import FIELDS, Status
from tests.support.clients import make_retraction
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import BASE, call, lookup, push, types_of

MAPPED = {
    "table": "llamadas",
    "fields": {
        "id": "cloudtalk_id",
        "contact_name": "cliente",
        "duration_seconds": "duración",
        "version": "revision",
        "transcript": "",
        "cloudtalk_data": "",
    },
    "constants": {"origen": "CloudTalk", "centro": 7, "activo": True, "peso": 0.5},
}


@pytest.fixture
def team_table(supabase: Supabase) -> Supabase:
    """A table of the team with a key of its own and a row that is not a call."""
    supabase.execute("""
        drop table if exists llamadas;
        create table llamadas (
          id uuid primary key default gen_random_uuid(),
          cliente text, "duración" integer, creado timestamptz not null default now(), comentario text
        );
        insert into llamadas (cliente) values ('de antes');
    """)
    return supabase


# --- restored tables: the rows lack changes that were delivered ------------------------------


def changes(names: str, *, delivered: int) -> list[Push]:
    """Pushes of new notes in version 9, after these versions were delivered."""
    new = (call(f"cloudtalk-{name}", version=9, notes="new") for name in names)
    known = frozenset({"notes"})
    return [Push(each, known, first=False, delivered_version=delivered) for each in new]


@pytest.mark.parametrize("names", ["1", "12"])
async def test_changes_are_not_written_into_a_row_that_lacks_earlier_ones(
    supabase: Supabase, connect: Connect, names: str
) -> None:
    client = connect()
    await client.upsert([push(call(f"cloudtalk-{name}", version=2, notes="old")) for name in names])
    before = supabase.rows("calls")
    assert types_of(await client.upsert(changes(names, delivered=3))) == [Outdated] * len(names)
    assert supabase.rows("calls") == before
    assert types_of(await client.upsert(changes(names, delivered=2))) == [Delivered] * len(names)
    assert [(row["notes"], row["version"]) for row in supabase.rows("calls")] == [("new", 9)] * len(names)


async def test_a_deleted_row_is_no_outdated_one(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    await client.upsert([push(call(version=2))])
    outcomes = await client.upsert(changes("123", delivered=3))
    assert types_of(outcomes) == [Outdated, Delivered, Delivered]
    assert [row["notes"] for row in supabase.rows("calls")][1:] == ["new", "new"]
    supabase.execute("delete from calls")
    assert types_of(await client.upsert(changes("1", delivered=3))) == [Delivered]
    assert supabase.rows("calls")[0]["external_number"] == "+34600000001"


# --- partial pushes: the row may have more than the relay knows -------------------------------


async def test_partial_pushes_keep_what_only_the_rows_have(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    await client.upsert([push(call(f"cloudtalk-{number}")) for number in (1, 2)])
    before = supabase.rows("calls")[0]
    late = call(
        tags=["late"],
        notes=None,
        external_number=None,
        status=Status.IN_PROGRESS,
        cloudtalk_data={"by": "Bo"},
    )
    known = frozenset({"tags", "cloudtalk_data"})
    for first in (True, False):
        pushes = [
            Push(msgspec.structs.replace(late, id=f"cloudtalk-{number}"), known, first=first, partial=True)
            for number in (1, 2, 3)
        ]
        outcomes = await client.upsert(pushes)
        assert types_of(outcomes) == [Delivered] * 3
        assert [getattr(each, "existed", None) for each in outcomes] == [first, first, False]
        one, two, three = supabase.rows("calls")
        assert one == before | {
            "tags": ["late"],
            "cloudtalk_data": {"id": 1, "nested": {"ключ": [None, True, 1.5]}, "by": "Bo"},
            "updated_at": one["updated_at"],
        }
        assert two["external_number"] == "+34600000001"
        # There was no row of the third call, so it was written whole.
        assert (three["external_number"], three["status"], three["started_at"] is None) == (
            None,
            "En Progreso",
            False,
        )


@pytest.mark.parametrize("changed", [(), ("tags",)])
async def test_a_row_with_a_higher_version_is_kept_and_reported(
    supabase: Supabase, connect: Connect, changed: tuple[str, ...]
) -> None:
    client = connect()
    await client.upsert([push(call(version=9)), push(call("cloudtalk-2"))])
    pushes = [push(call(version=3, tags=["old"]), *changed), push(call("cloudtalk-2", version=2), *changed)]
    kept, written = await client.upsert(pushes)
    assert kept == Delivered(remote_id="cloudtalk-1", newer_version=9)
    assert written == Delivered(remote_id="cloudtalk-2")
    assert supabase.rows("calls")[0]["tags"] == ["vip", "niño"]


@pytest.mark.parametrize("stored", [2**53, 2**63 - 1, -3])
@pytest.mark.parametrize("changed", [(), ("tags",)])
async def test_a_row_with_an_impossible_version_is_written_again(
    supabase: Supabase, connect: Connect, changed: tuple[str, ...], stored: int
) -> None:
    client = connect()
    await client.upsert([push(call(version=1)), push(call("cloudtalk-2"))])
    supabase.execute(f"update calls set version = {stored} where id = 'cloudtalk-1'")  # noqa: S608 - a number
    later = msgspec.structs.replace(push(call(version=3, tags=["new"]), *changed), delivered_version=1)
    both = [later, push(call("cloudtalk-2", version=2), *changed)]
    assert await client.upsert(both) == [Delivered(remote_id=each.call.id) for each in both]
    row = supabase.rows("calls")[0]
    assert (row["version"], row["tags"]) == (3, ["new"])


async def test_a_partial_push_to_a_table_without_raw_data_reads_nothing(
    team_table: Supabase, connect: Connect
) -> None:
    client = connect(**MAPPED)
    team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    await client.upsert([push(call())])
    late = Push(call(contact_name=None, tags=["late"]), frozenset({"tags"}), partial=True)
    assert types_of(await client.upsert([late])) == [Delivered]
    row = team_table.rows("llamadas", key="cloudtalk_id")[0]
    assert (row["cliente"], row["tags"]) == (BASE.contact_name, ["late"])


# --- mapping ----------------------------------------------------------------------------------


async def test_calls_are_written_to_the_mapped_columns_of_a_table_of_the_team(
    team_table: Supabase, connect: Connect
) -> None:
    client = connect(**MAPPED)
    [before] = await client.check()
    assert before.code == "missing_column"
    assert "cloudtalk_id, call_id" in (before.problem or "")
    for _ in range(2):
        team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    assert [finding.ok for finding in await client.check()] == [True]
    assert types_of(await client.upsert([push(call()), push(call("cloudtalk-2"))])) == [Delivered, Delivered]
    one, _two, old = team_table.rows("llamadas", key="cloudtalk_id")
    assert (old["cliente"], old["cloudtalk_id"]) == ("de antes", None)
    assert one["id"] is not None
    expected = {
        "cloudtalk_id": "cloudtalk-1",
        "cliente": BASE.contact_name,
        "duración": 61,
        "revision": 1,
        "status": "Perdida",
        "state": "missed",
        "origen": "CloudTalk",
        "centro": 7,
        "activo": True,
        "peso": 0.5,
    }
    assert {name: one[name] for name in expected} == expected
    assert one.keys().isdisjoint({"transcript", "cloudtalk_data", "version", "contact_name"})


async def test_check_does_not_change_rows_that_are_not_calls(team_table: Supabase, connect: Connect) -> None:
    client = connect(**MAPPED)
    team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    assert [finding.ok for finding in await client.check()] == [True]
    assert [row["cliente"] for row in team_table.rows("llamadas")] == ["de antes"]


async def test_a_constant_is_written_once_and_a_person_can_change_it(
    team_table: Supabase, connect: Connect
) -> None:
    client = connect(**MAPPED)
    team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    await client.upsert([push(call())])
    team_table.execute("update llamadas set origen = 'a mano' where cloudtalk_id is not null")
    await client.upsert([push(call(version=2, contact_name="Ana"), "contact_name")])
    [row] = [row for row in team_table.rows("llamadas", "cliente") if row["cloudtalk_id"]]
    assert (row["origen"], row["cliente"], row["revision"]) == ("a mano", "Ana", 2)
    assert team_table.log[-1].records == [{"cloudtalk_id": "cloudtalk-1", "cliente": "Ana", "revision": 2}]
    assert team_table.log[-1].query["cloudtalk_id"] == "eq.cloudtalk-1"


async def test_the_version_trigger_uses_the_mapped_column(team_table: Supabase, connect: Connect) -> None:
    client = connect(**MAPPED)
    team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    await client.upsert([push(call(version=5, notes="new"))])
    assert types_of(await client.upsert([push(call(version=4, notes="old"))])) == [Delivered]
    assert [row["notes"] for row in team_table.rows("llamadas", "cliente") if row["cloudtalk_id"]] == ["new"]


async def test_without_a_version_column_an_older_version_overwrites(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(table="unversioned", fields={"version": ""})
    supabase.execute(client.setup_text())
    supabase.wait_for("unversioned")
    assert [finding.ok for finding in await client.check()] == [True]
    await client.upsert([push(call(version=5))])
    await client.upsert([push(call(version=4, notes="later"), "notes")])
    [row] = supabase.rows("unversioned")
    assert "version" not in row
    assert row["notes"] == "later"


async def test_rows_are_retracted_looked_up_and_forgotten_by_the_mapped_id_column(
    team_table: Supabase, connect: Connect
) -> None:
    client = connect(**MAPPED, on_merge="mark")
    team_table.execute(client.setup_text())
    team_table.wait_for("llamadas", column="cloudtalk_id")
    pushes = [push(call(f"cloudtalk-{n}")) for n in range(1, 4)]
    await client.upsert(pushes[:2])
    assert await client.read([lookup(push(call(f"cloudtalk-{n}"))) for n in range(1, 4)]) == {
        "cloudtalk-1": [Stored("cloudtalk-1", 1)],
        "cloudtalk-2": [Stored("cloudtalk-2", 1)],
    }
    assert types_of(await client.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])) == [Delivered]
    assert types_of(await client.forget([make_retraction("cloudtalk-2", "", 2)])) == [Delivered]
    [row] = [row for row in team_table.rows("llamadas", "id") if row["cloudtalk_id"]]
    assert (row["cloudtalk_id"], row["merged_into"], row["revision"]) == ("cloudtalk-1", "cloudtalk-2", 2)


async def test_check_finds_a_mapped_id_column_that_is_not_unique(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(table="keyless", fields={"id": "ct"})
    supabase.execute("create table keyless (id serial primary key, ct text)")
    supabase.execute(client.setup_text())
    supabase.execute("alter table keyless drop constraint keyless_ct_key; notify pgrst, 'reload schema'")
    supabase.wait_for("keyless", column="ct")
    [finding] = await client.check()
    assert (finding.code, '"ct"' in (finding.hint or "")) == ("missing_key", True)


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"fields": {"id": ""}}, "needs a column"),
        ({"fields": {"id": "columns"}}, "cannot be .columns., a query parameter of Supabase's API"),
        ({"fields": {"notes": "tags"}}, '"tags" is used twice'),
        ({"fields": {"notes": "updated_at"}}, '"updated_at" is used twice'),
        ({"constants": {"status": "x"}}, '"status" is used twice'),
        ({"fields": {"notes": "a b"}}, "cannot be the name of a field"),
        ({"fields": {"notes": "x" * 64}}, "cannot be the name of a field"),
        ({"fields": {"note": "x"}}, 'there is no field "note"'),
        ({"layout": "kv", "fields": {"id": "x"}}, "cannot be renamed in the layout kv"),
        ({"layout": "kv", "constants": {"notas": "x"}}, '"notas" is used twice'),
    ],
)
def test_an_invalid_mapping_is_refused(invalid: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SupabaseSettings.model_validate(
            {"client": "supabase", "url": "https://abc.supabase.co", "key": "k"} | invalid
        )


# --- whole rows -------------------------------------------------------------------------------


async def test_a_row_that_a_person_deleted_is_written_whole_and_the_others_keep_their_edits(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call(f"cloudtalk-{n}")) for n in range(4)])
    supabase.execute("delete from calls where id in ('cloudtalk-1', 'cloudtalk-3')")
    supabase.execute("update calls set contact_name = 'typed', direction = null")
    changed = [push(call(f"cloudtalk-{n}", version=2, notes="new"), "notes") for n in range(4)]
    supabase.log.clear()
    assert types_of(await client.upsert(changed)) == [Delivered] * 4
    assert [(row["notes"], row["contact_name"], row["direction"]) for row in supabase.rows()] == [
        ("new", "typed", None),
        ("new", BASE.contact_name, "inbound"),
        ("new", "typed", None),
        ("new", BASE.contact_name, "inbound"),
    ]
    assert [(seen.method, seen.rows, seen.status) for seen in supabase.log] == [
        ("GET", 0, 200),
        ("POST", 2, 200),
        ("POST", 2, 201),
    ]


async def test_a_change_of_an_existing_row_takes_one_request(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    await client.upsert([push(call())])
    supabase.log.clear()
    await client.upsert([push(call(version=2, notes="new"), "notes")])
    assert [(seen.method, seen.status) for seen in supabase.log] == [("PATCH", 200)]


@pytest.mark.parametrize("request_number", [1, 2, 3])
async def test_a_deleted_row_is_written_whole_by_the_next_push_if_the_first_fails(
    supabase: Supabase, connect: Connect, request_number: int
) -> None:
    client = connect()
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    supabase.execute("delete from calls where id = 'cloudtalk-1'")
    supabase.execute("update calls set contact_name = 'typed'")
    changed = [push(call(f"cloudtalk-{n}", version=2, notes="new"), "notes") for n in (1, 2)]
    with supabase.gateway.answering(JSONResponse({}, 503), after=request_number - 1):
        outcomes = await client.upsert(changed)
    assert Retry in types_of(outcomes)
    assert types_of(await connect().upsert(changed)) == [Delivered, Delivered]
    assert [row["contact_name"] for row in supabase.rows()] == [BASE.contact_name, "typed"]


@pytest.mark.parametrize(
    "server_of", [lambda _: nullcontext(), lambda supabase: supabase.gateway.old_postgrest()]
)
async def test_a_row_that_is_deleted_between_the_read_and_the_write_is_complete(
    supabase: Supabase, connect: Connect, server_of: Callable[[Supabase], AbstractContextManager[None]]
) -> None:
    client = connect()
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    supabase.execute("delete from calls where id = 'cloudtalk-1'")
    supabase.execute("update calls set contact_name = 'typed', summary = null")
    read = JSONResponse([{"id": "cloudtalk-1", "version": 1}, {"id": "cloudtalk-2", "version": 1}])
    changed = [push(call(f"cloudtalk-{n}", version=2, notes="new"), "notes") for n in (1, 2)]
    with supabase.gateway.answering(read, times=1), server_of(supabase):
        assert types_of(await client.upsert(changed)) == [Delivered, Delivered]
    assert [(row["notes"], row["direction"], row["contact_name"]) for row in supabase.rows()] == [
        ("new", "inbound", BASE.contact_name),
        ("new", "inbound", "typed"),
    ]


@pytest.mark.parametrize(
    "kept", [FIELDS, ("status", "notes", "from"), ("status", "notes", "direction"), ("notes",)]
)
async def test_edits_by_people_stay_if_the_server_answers_201_to_every_upsert(
    supabase: Supabase, connect: Connect, kept: tuple[str, ...]
) -> None:
    left_out = set(FIELDS) - {"id", "version", "merged_into", "legs", *kept}
    client = connect(fields=dict.fromkeys(sorted(left_out), ""))
    ids = [f"cloudtalk-{n}" for n in range(4)]
    with supabase.gateway.old_postgrest():
        await client.upsert([push(call(id_)) for id_ in ids])
        supabase.execute("update calls set contact_name = 'typed', status = 'Vista', direction = 'typed'")
        changed = [push(call(id_, version=2, notes="new"), "notes") for id_ in ids]
        assert types_of(await client.upsert(changed)) == [Delivered] * 4
    for row in supabase.rows():
        assert (row["notes"], row["contact_name"], row["version"]) == ("new", "typed", 2)
        assert (row["status"], row["direction"]) == ("Vista", "typed")


async def test_late_events_of_forgotten_calls_erase_nothing_if_the_server_answers_201_to_every_upsert(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    ids = ["cloudtalk-1", "cloudtalk-2"]
    await client.upsert([push(call(id_)) for id_ in ids])
    late = call(
        external_number=None, direction=None, agent_name=None, started_at=None, tags=["late"], version=2
    )
    pushes = [
        Push(msgspec.structs.replace(late, id=id_), frozenset({"tags"}), first=first, partial=True)
        for first in (True, False)
        for id_ in ids
    ]
    with supabase.gateway.old_postgrest():
        for two in (pushes[:2], pushes[2:]):
            assert types_of(await client.upsert(two)) == [Delivered] * 2
    for row in supabase.rows():
        assert (row["external_number"], row["direction"], row["agent_name"]) == (
            BASE.external_number,
            "inbound",
            BASE.agent_name,
        )
        assert (row["tags"], row["started_at"] is None) == (["late"], False)


KINDS_OF_RELATION = {
    "table": "create table {0} (like calls including all)",
    "view": "create table base_{0} (like calls including all); create view {0} as select * from base_{0}",
    "renaming view": "create table base_{0} (like calls including all);"
    "create view {0} as select *, notes as remark from base_{0} where id <> ''",
    "partitioned table": "create table {0} (like calls including all) partition by hash (id);"
    "create table part_{0} partition of {0} for values with (modulus 1, remainder 0)",
    "table with an audit trigger": "create table {0} (like calls including all);"
    "create table audit_{0} (call text references {0} on delete cascade);"
    "create function note_{0}() returns trigger language plpgsql as"
    " $$begin insert into audit_{0} values (new.id); return null; end$$;"
    "grant all on audit_{0} to service_role;"
    "create trigger note after insert or update on {0} for each row execute function note_{0}()",
    "table with defaults": "create table {0} (like calls including all);"
    "alter table {0} alter status set default 'Nueva', alter direction set default 'inbound'",
}


@pytest.mark.parametrize("kind", KINDS_OF_RELATION)
@pytest.mark.parametrize("count", [1, 3])
async def test_a_deleted_row_is_written_whole_in_any_kind_of_relation(
    supabase: Supabase, connect: Connect, kind: str, count: int
) -> None:
    name = f"kind_{list(KINDS_OF_RELATION).index(kind)}_{count}"
    supabase.execute(KINDS_OF_RELATION[kind].format(name))
    supabase.execute(f"grant all on {name} to service_role; notify pgrst, 'reload schema'")
    supabase.wait_for(name)
    client = connect(table=name)
    ids = [f"cloudtalk-{n}" for n in range(count + 1)]
    assert types_of(await client.upsert([push(call(id_)) for id_ in ids])) == [Delivered] * len(ids)
    supabase.execute(f"delete from {name} where id = 'cloudtalk-0'")  # noqa: S608 - a test's own table
    supabase.execute(f"update {name} set contact_name = null")  # noqa: S608 - a test's own table
    changed = [push(call(id_, version=2, summary="new"), "summary") for id_ in ids[:count]]
    assert types_of(await client.upsert(changed)) == [Delivered] * count
    whole, *others = supabase.rows(name)
    assert (whole["status"], whole["state"], whole["duration_seconds"]) == ("Perdida", "missed", 61)
    assert (whole["contact_name"], whole["summary"]) == (BASE.contact_name, "new")
    assert {row["contact_name"] for row in others} == {None}


async def test_other_columns_can_change_although_a_column_is_not_null(
    supabase: Supabase, connect: Connect
) -> None:
    """PostgreSQL checks NOT NULL on the row that an upsert would insert, although it updates one."""
    supabase.execute("drop table if exists not_null")
    supabase.create_table("not_null")
    supabase.execute("alter table not_null alter direction set not null")
    client = connect(table="not_null")
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    changed = [push(call(f"cloudtalk-{n}", version=2, notes="new"), "notes") for n in (1, 2, 3)]
    supabase.log.clear()
    assert types_of(await client.upsert(changed)) == [Delivered] * 3
    assert [(row["notes"], row["direction"]) for row in supabase.rows("not_null")] == [("new", "inbound")] * 3
    assert [seen.method for seen in supabase.log] == ["GET", "POST", "PATCH", "PATCH", "POST"]


async def test_a_change_that_the_table_refuses_is_rejected(supabase: Supabase, connect: Connect) -> None:
    supabase.execute("drop table if exists measured")
    supabase.create_table("measured")
    client = connect(table="measured")
    await client.upsert([push(call())])
    supabase.execute("alter table measured add constraint short check (length(notes) < 100)")
    [outcome] = await client.upsert([push(call(version=2, notes="n" * 100), "notes")])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "23514"


async def test_calls_can_be_written_to_a_view(supabase: Supabase, connect: Connect) -> None:
    supabase.execute("drop view if exists seen_calls; create view seen_calls as select * from calls")
    supabase.execute("grant all on seen_calls to service_role; notify pgrst, 'reload schema'")
    supabase.wait_for("seen_calls")
    client = connect(table="seen_calls")
    assert types_of(await client.upsert([push(call(), "notes")])) == [Delivered]
    assert types_of(await client.upsert([push(call()), push(call("cloudtalk-2"))])) == [Delivered, Delivered]
    assert [row["direction"] for row in supabase.rows()] == ["inbound", "inbound"]


# --- missing, forgetting, limits --------------------------------------------------------------


async def test_without_changed_fields_only_keys_and_versions_are_read(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    pushes = [push(call(f"cloudtalk-{n}, {'ñ' * 60}")) for n in range(60)]
    await client.upsert(pushes[::2])
    supabase.log.clear()
    found = await client.read([lookup(each) for each in pushes])
    assert found == {p.call.id: [Stored(p.call.id, 1)] for p in pushes[::2]}
    assert {seen.method for seen in supabase.log} == {"GET"}
    assert {seen.query["select"] for seen in supabase.log} == {"id,version"}
    assert len(supabase.log) > 1
    assert all(len(seen.target) < MAX_QUERY_BYTES + 200 for seen in supabase.log)


async def test_read_returns_the_failure_if_the_table_cannot_be_read(
    supabase: Supabase, connect: Connect
) -> None:
    with supabase.gateway.answering(JSONResponse({}, 503)):
        assert isinstance(await connect().read([push(call())]), Retry)
    assert isinstance(await connect(table="absent").read([push(call())]), Misconfigured)


async def test_only_the_forgotten_call_is_deleted(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    await client.upsert([push(call(f"cloudtalk-{n}")) for n in range(3)])
    retractions = [make_retraction("cloudtalk-0", "", 1), make_retraction("cloudtalk-never", "", 1)]
    assert types_of(await client.forget(retractions)) == [Delivered, Delivered]
    assert [row["id"] for row in supabase.rows()] == ["cloudtalk-1", "cloudtalk-2"]


async def test_a_retraction_without_merged_into_deletes_the_row_even_if_on_merge_is_mark(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(on_merge="mark")
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    internal = msgspec.structs.replace(
        make_retraction("cloudtalk-1", "", 2), call=call("cloudtalk-1", version=2)
    )
    outcomes = await client.retract([internal, make_retraction("cloudtalk-2", "cloudtalk-3", 2)])
    assert types_of(outcomes) == [Delivered, Delivered]
    assert [(row["id"], row["merged_into"]) for row in supabase.rows()] == [("cloudtalk-2", "cloudtalk-3")]


async def test_a_request_is_limited_in_rows(supabase: Supabase, connect: Connect) -> None:
    pushes = [push(call(f"cloudtalk-{n}", cloudtalk_data={})) for n in range(MAX_ROWS * 2 + 1)]
    assert types_of(await connect(batch=1000).upsert(pushes)) == [Delivered] * len(pushes)
    assert [seen.rows for seen in supabase.log] == [MAX_ROWS, MAX_ROWS, 1]


def test_every_mappable_field_has_a_column_by_default_or_on_request() -> None:
    required = {"client": "supabase", "url": "https://abc.supabase.co", "key": "k"}
    fields = {
        "called_back_at": "called_back_at",
        "called_back_by": "agente_devolucion",
        "missed_reason": "motivo",
        "smart_notes": "notas_ia",
    }
    default = SupabaseSettings.model_validate(required)
    assert {*default.mapping} == {*SupabaseSettings.MAPPABLE} - fields.keys()
    requested = SupabaseSettings.model_validate(required | {"fields": fields})
    assert requested.mapping == default.mapping | fields


async def test_the_setup_adds_columns_on_request_and_a_call_back_is_written_to_them(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(fields={"called_back_at": "called_back_at", "called_back_by": "agente_devolucion"})
    supabase.execute(client.setup_text())
    supabase.wait_for("calls", column="agente_devolucion")
    later = call(follow_up=False, called_back_at="2024-01-15T10:14:00Z", called_back_by="Ana Gil")
    assert types_of(await client.upsert([push(later)])) == [Delivered]
    (row,) = supabase.rows()
    assert (row["follow_up"], row["agente_devolucion"]) == (False, "Ana Gil")
    assert row["called_back_at"] == datetime(2024, 1, 15, 10, 14, tzinfo=UTC)
    supabase.execute("alter table calls drop column called_back_at, drop column agente_devolucion")
    supabase.settle()
