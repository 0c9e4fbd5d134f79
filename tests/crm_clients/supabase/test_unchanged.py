"""A retraction that changed nothing: the row is not there, or the role of the key may not change it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Outcome, Rejected, Retraction, Retry
from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.rest import Row
from crm_clients.supabase.unchanged import (
    find_kept,
    find_unchanged,
    find_unwritten,
    find_unwritten_value,
    is_older,
    version_of,
)
from tests.support.clients import make_retraction
from tests.support.scripted_table import ScriptedTable
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

KEPT = Rejected(
    code="row_not_changed",
    message="The table kept the row although no error was reported. A policy of row level security or a "
    "trigger protects it.",
)
ABSENT = Rejected(
    code="row_not_changed",
    message="The table has no row of this call although no error was reported. A trigger discards it or "
    "moves it to another table.",
)
HIDDEN = Rejected(
    code="row_not_changed",
    message="No row was found, and row level security hides rows from the role of the key. Use the project's "
    "secret key, or add policies for this role.",
)
OUTAGE = Retry(code="unreachable")

# --- without a database -------------------------------------------------------------------------


async def test_a_row_that_still_matches_was_kept() -> None:
    table = ScriptedTable(stored=[{"id": "a"}, {"id": "c"}])
    assert await find_kept(table, ["a", "b"], version="lt.7") == {"a": KEPT}
    assert table.read == [(["a", "b"], ["id"], {"version": "lt.7"})]
    assert await find_kept(ScriptedTable(stored=OUTAGE), ["a", "b"]) == {"a": OUTAGE, "b": OUTAGE}


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (ApiError(403, "42501", "row-level security"), HIDDEN),
        (ApiError(400, "23514", "a check"), None),
        (ApiError(406, "PGRST116"), None),
        (ApiError(503), ApiError(503)),
        (OUTAGE, OUTAGE),
        (None, None),
    ],
)
async def test_only_a_write_that_a_policy_refuses_finds_a_hidden_row(
    failure: ApiFailure | None, found: ApiFailure | None
) -> None:
    table = ScriptedTable(stored=[{"id": "a"}], refuse=lambda _: failure)
    rows: dict[str, Row] = {"a": {"id": "a", "notes": "n"}, "b": {"id": "b", "notes": "n"}}
    expected = {"a": KEPT} | ({"b": found} if found is not None else {})
    assert await find_unchanged(table, rows) == expected
    assert table.tried == [[{"id": "b", "notes": "n"}]]


@pytest.mark.parametrize(
    ("written", "stored", "failures", "newer"),
    [
        # The call's version is 5.
        ([{"id": "a", "version": 5}], [], {}, {}),
        ([{"id": "a", "version": 6}], [], {}, {}),
        ([{"id": "a", "version": 4}], [], {"a": KEPT}, {}),
        ([{"id": "a", "version": None}], [], {"a": KEPT}, {}),
        ([{"id": "a", "version": "a text"}], [], {}, {}),
        ([], [{"id": "a", "version": 4}], {"a": KEPT}, {}),
        ([], [{"id": "a", "version": 5}], {}, {}),
        ([], [{"id": "a", "version": 6}], {}, {"a": 6}),
        ([], [{"id": "a", "version": "7"}], {}, {"a": 7}),
        ([], [{"id": "a", "version": None}], {"a": KEPT}, {}),
        ([], [{"id": "a", "version": "a text"}], {}, {}),
        ([], [{"id": "a", "version": 2**62}], {"a": KEPT}, {}),
        ([], [{"id": "a", "version": 10**30}], {"a": KEPT}, {}),
        ([], [{"id": "a", "version": 1e300}], {"a": KEPT}, {}),
        ([], [{"id": "a", "version": "9" * 30}], {"a": KEPT}, {}),
        ([], [], {"a": ABSENT}, {}),
        ([], OUTAGE, {"a": OUTAGE}, {}),
    ],
)
async def test_a_call_is_written_if_the_table_has_its_version_or_a_newer_one(
    written: Sequence[Row],
    stored: Sequence[Row] | ApiFailure,
    failures: Mapping[str, ApiFailure],
    newer: Mapping[str, int],
) -> None:
    table = ScriptedTable(stored=stored)
    assert await find_unwritten(table, {"a": 5}, written) == (failures, newer)
    assert table.read == [([] if written else ["a"], ["id", "version"], {})]


async def test_each_call_of_a_batch_has_its_own_failure() -> None:
    stored = [{"id": "c", "version": 9}, {"id": "d", "version": 1}]
    written = [{"id": "a", "version": 5}, {"id": "b", "version": 4}]
    versions = dict.fromkeys(["e", "d", "c", "b", "a"], 5)
    table = ScriptedTable(stored=stored)
    assert await find_unwritten(table, versions, written) == ({"b": KEPT, "d": KEPT, "e": ABSENT}, {"c": 9})
    assert table.read == [(["c", "d", "e"], ["id", "version"], {})]
    unread = await find_unwritten(ScriptedTable(stored=OUTAGE), versions, written)
    assert unread == ({"b": KEPT, "c": OUTAGE, "d": OUTAGE, "e": OUTAGE}, {})


async def test_without_a_version_column_nothing_is_compared() -> None:
    table = ScriptedTable(version=None, stored=OUTAGE)
    assert await find_unwritten(table, {"a": 5}, []) == ({}, {})
    assert (table.read, version_of(table, {"id": "a", "version": 4})) == ([], None)
    assert not is_older(table, {"id": "a", "version": 4}, 5)


@pytest.mark.parametrize(
    ("version", "parsed", "older"),
    [
        (0, 0, True),
        (None, 0, True),
        ("", 0, True),
        (4, 4, True),
        ("4", 4, True),
        (5, 5, False),
        (2**53, 0, True),
        (-9, 0, True),
        (5.5, 0, True),
        ("x", None, False),
    ],
)
def test_an_impossible_version_is_older_and_a_word_is_not_compared(
    version: object, parsed: int | None, *, older: bool
) -> None:
    table, row = ScriptedTable(), {"id": "a", "version": version}
    assert (version_of(table, row), is_older(table, row, 5)) == (parsed, older)


@pytest.mark.parametrize(
    ("before", "stored", "failure"),
    [
        (None, {"x": 1, "y": 2}, None),
        (None, {"x": 1, "y": 2, "of a trigger": 3}, None),
        ({"x": 0, "y": 2}, {"x": 1, "y": 2}, None),
        ({"x": 0, "y": 0}, {"x": 0, "y": 0}, KEPT),
        ({"x": 0, "y": 2}, {"x": 0, "y": 2, "of a trigger": 3}, KEPT),
        ({"x": 0, "y": 0}, {"x": 5, "y": 0}, None),
        ({"x": 1, "y": 0}, {"x": 9, "y": 0}, KEPT),
        ("a text", "a text", KEPT),
        ("a text", {"x": 1, "y": 2}, None),
    ],
)
def test_a_value_is_kept_if_no_key_that_should_change_has_changed(
    before: Any, stored: Any, failure: ApiFailure | None
) -> None:
    written = {"a": {"x": 1, "y": 2}, "b": {"z": 1}}
    others = {"b": {"z": 1}}
    found = find_unwritten_value(written, {"a": before}, {"a": stored} | others)
    assert found == failure
    assert find_unwritten_value(written, {"a": before}, others) == ABSENT


# --- with a database ----------------------------------------------------------------------------

POLICIES = {
    "no policy at all": [],
    "insert only": ["for insert with check (true)"],
    "read only": ["for select using (true)"],
    "no delete and no update": ["for insert with check (true)", "for select using (true)"],
    "others only": [
        "for insert with check (true)",
        "for select using ({key} not like '%cloudtalk-1')",
        "for update using ({key} not like '%cloudtalk-1')",
        "for delete using ({key} not like '%cloudtalk-1')",
    ],
    "visible and protected": ["for select using (true)", "for all using ({key} not like '%cloudtalk-1')"],
}
SETTINGS = {"table": {}, "kv": {"layout": "kv", "table": "kept_values"}}
KEYS = {"table": "id", "kv": "key"}


@pytest.fixture(params=["table", "kv"])
def layout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def limited(supabase: Supabase, layout: str) -> Iterator[Supabase]:
    """A project whose publishable key has all grants; a policy of row level security is its only limit."""
    if layout == "kv":
        supabase.create_kv("kept_values")
    supabase.execute(f"grant all on {table_of(layout)} to anon; truncate {table_of(layout)}")
    yield supabase
    supabase.execute(f"revoke all on {table_of(layout)} from anon")
    policies = f"select policyname from pg_policies where tablename = '{table_of(layout)}'"  # noqa: S608
    supabase.execute(
        f"do $$ declare p text; begin for p in {policies} loop "
        f"execute format('drop policy %I on {table_of(layout)}', p); end loop; end $$"
    )


def table_of(layout: str) -> str:
    return "calls" if layout == "table" else "kept_values"


def add_policies(project: Supabase, layout: str, kind: str) -> None:
    for number, policy in enumerate(POLICIES[kind]):
        sql = policy.format(key=KEYS[layout])
        project.execute(f"create policy p{number} on {table_of(layout)} {sql}")


def connect_as_browser(project: Supabase, connect: Connect, layout: str, **settings: str) -> SupabaseClient:
    return connect(key=project.publishable_key, **(SETTINGS[layout] | settings))


async def remove(client: SupabaseClient, way: str, *ids: str) -> list[Outcome]:
    retractions = [make_retraction(id_, "cloudtalk-survivor", 2) for id_ in ids]
    return await (client.forget(retractions) if way == "forget" else client.retract(retractions))


WAYS = ["delete", "mark", "forget"]


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("way", WAYS)
async def test_a_row_that_a_policy_protects_is_not_retracted(
    limited: Supabase, connect: Connect, layout: str, kind: str, way: str
) -> None:
    await connect(**SETTINGS[layout]).upsert([push(call())])
    add_policies(limited, layout, kind)
    on_merge = "mark" if way == "mark" else "delete"
    client = connect_as_browser(limited, connect, layout, on_merge=on_merge)
    [outcome] = await remove(client, way, "cloudtalk-1")
    assert isinstance(outcome, Rejected)
    assert outcome.code in {"row_not_changed", "row_level_security", "42501"}
    assert "row" in (outcome.message or "")
    [row] = limited.rows(table_of(layout), KEYS[layout])
    assert row.get("merged_into") is None


@pytest.mark.parametrize("way", WAYS)
async def test_the_other_rows_of_the_retraction_are_retracted(
    limited: Supabase, connect: Connect, layout: str, way: str
) -> None:
    await connect(**SETTINGS[layout]).upsert([push(call(f"cloudtalk-{n}")) for n in (1, 2)])
    add_policies(limited, layout, "others only")
    on_merge = "mark" if way == "mark" else "delete"
    client = connect_as_browser(limited, connect, layout, on_merge=on_merge)
    outcomes = await remove(client, way, "cloudtalk-1", "cloudtalk-2", "cloudtalk-absent")
    assert types_of(outcomes) == [Rejected, Delivered, Delivered]


@pytest.mark.parametrize("way", WAYS)
async def test_a_row_that_does_not_exist_is_retracted_and_none_is_created(
    supabase: Supabase, connect: Connect, layout: str, way: str
) -> None:
    if layout == "kv":
        supabase.create_kv("kept_values")
        supabase.execute("truncate kept_values")
    client = connect(**SETTINGS[layout], on_merge="mark" if way == "mark" else "delete")
    assert types_of(await remove(client, way, "cloudtalk-1", "cloudtalk-2")) == [Delivered, Delivered]
    assert supabase.rows(table_of(layout), KEYS[layout]) == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_row_that_a_trigger_keeps_is_not_retracted(
    supabase: Supabase, connect: Connect, way: str
) -> None:
    supabase.create_table("archive")
    supabase.execute("""
        create or replace function keep() returns trigger language plpgsql as $$begin return null; end$$;
        create or replace trigger keep before update or delete on archive
        for each row execute function keep();
    """)
    client = connect(table="archive", on_merge="mark" if way == "mark" else "delete")
    await client.upsert([push(call())])
    [outcome] = await remove(client, way, "cloudtalk-1")
    assert (type(outcome), outcome.code) == (Rejected, "row_not_changed")
    supabase.execute("drop table archive")


async def test_a_call_whose_open_task_a_policy_protects_is_not_retracted(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_kv("kept_tasks")
    settings = {"layout": "kv", "table": "kept_tasks", "tasks": True}
    await connect(**settings).upsert([push(call())])
    supabase.execute("""
        grant all on kept_tasks to anon;
        create policy seen on kept_tasks for select using (true);
        create policy written on kept_tasks for all using (key like 'llamada:%');
    """)
    client = connect(key=supabase.publishable_key, **settings)
    assert types_of(await remove(client, "delete", "cloudtalk-1")) == [Rejected]
    supabase.execute("drop table kept_tasks")


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("way", WAYS)
async def test_an_outage_during_the_retraction_of_an_absent_row_is_a_retry(
    supabase: Supabase, connect: Connect, way: str, after: int
) -> None:
    client = connect(on_merge="mark" if way == "mark" else "delete")
    with supabase.gateway.answering(JSONResponse({}, 503), after=after):
        assert types_of(await remove(client, way, "cloudtalk-1")) == [Retry]


async def test_a_retraction_of_a_call_that_the_table_would_refuse_finds_no_hidden_row(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_table("selective")
    supabase.execute("alter table selective add check (notes is null)")
    this = msgspec.structs.replace(call(notes="n"), merged_into=None)
    assert types_of(await connect(table="selective").retract([Retraction(this)])) == [Delivered]
    supabase.execute("drop table selective")
