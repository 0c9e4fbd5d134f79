"""A write that the database skips without an error: a trigger keeps the old row, or discards the new one."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Delivered, Outcome, Rejected, Retry
from crm_clients.supabase import SupabaseClient
from relay.call import Status
from tests.support.clients import make_retraction
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

KEEPING = {
    "return old": "return old;",
    "return null": "return null;",
    "finished rows return old": "if old.version >= 1 then return old; end if; return new;",
    "one row returns null": "if old.id = 'cloudtalk-1' then return null; end if; return new;",
    "one row returns old": "if old.id = 'cloudtalk-1' then return old; end if; return new;",
}


@pytest.fixture
def frozen(supabase: Supabase) -> Iterator[Supabase]:
    """A project with the table `frozen`, which has the trigger of the setup SQL."""
    supabase.execute("drop table if exists frozen")
    supabase.create_table("frozen")
    yield supabase
    supabase.execute("drop table frozen")


def add_trigger(project: Supabase, body: str, event: str = "update") -> None:
    project.execute(f"""
        create or replace function freeze() returns trigger language plpgsql as $$begin {body} end$$;
        create trigger zz before {event} on frozen for each row execute function freeze();
    """)


def types_and_codes(outcomes: list[Outcome]) -> list[tuple[type[Outcome], str | None]]:
    return [(type(outcome), outcome.code) for outcome in outcomes]


@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize("changed", [("status",), ()], ids=["changed columns", "whole row"])
async def test_a_row_that_a_trigger_keeps_is_rejected(
    frozen: Supabase, connect: Connect, kind: str, changed: tuple[str, ...]
) -> None:
    client = connect(table="frozen")
    add_trigger(frozen, KEEPING[kind])
    assert types_of(await client.upsert([push(call(status=Status.IN_PROGRESS))])) == [Delivered]
    [outcome] = await client.upsert([push(call(version=2, status=Status.COMPLETED), *changed)])
    assert (type(outcome), outcome.code) == (Rejected, "row_not_changed")
    [row] = frozen.rows("frozen")
    assert (row["status"], row["version"]) == ("En Progreso", 1)


@pytest.mark.parametrize("kind", ["one row returns old", "one row returns null"])
@pytest.mark.parametrize("changed", [("notes",), ()], ids=["changed columns", "whole rows"])
async def test_other_rows_of_the_batch_are_delivered(
    frozen: Supabase, connect: Connect, kind: str, changed: tuple[str, ...]
) -> None:
    client = connect(table="frozen")
    add_trigger(frozen, KEEPING[kind])
    ids = [f"cloudtalk-{n}" for n in range(3)]
    await client.upsert([push(call(id_, notes="old")) for id_ in ids])
    outcomes = await client.upsert([push(call(id_, version=2, notes="new"), *changed) for id_ in ids])
    assert types_and_codes(outcomes) == [(Delivered, None), (Rejected, "row_not_changed"), (Delivered, None)]
    assert [row["notes"] for row in frozen.rows("frozen")] == ["new", "old", "new"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("changed", [("notes",), ()], ids=["changed columns", "whole rows"])
async def test_a_newer_row_that_the_setup_sql_keeps_is_delivered(
    frozen: Supabase, connect: Connect, count: int, changed: tuple[str, ...]
) -> None:
    client = connect(table="frozen")
    ids = [f"cloudtalk-{n}" for n in range(count)]
    await client.upsert([push(call(id_, version=5, notes="newer")) for id_ in ids])
    late = [push(call(id_, version=4, notes="late"), *changed) for id_ in ids]
    assert types_of(await client.upsert(late)) == [Delivered] * count
    assert [row["notes"] for row in frozen.rows("frozen")] == ["newer"] * count


@pytest.mark.parametrize(
    "body", ["return null;", "if new.id like '%-1' then return null; end if; return new;"]
)
async def test_a_new_row_that_a_trigger_discards_is_rejected(
    frozen: Supabase, connect: Connect, body: str
) -> None:
    add_trigger(frozen, body, "insert")
    [outcome] = await connect(table="frozen").upsert([push(call())])
    assert (type(outcome), outcome.code) == (Rejected, "row_not_changed")
    assert "no row" in (outcome.message or "")


@pytest.mark.parametrize("type_", ["text using version::text", "numeric", "integer"])
async def test_versions_in_columns_of_other_types_are_compared(
    frozen: Supabase, connect: Connect, type_: str
) -> None:
    frozen.execute(f"alter table frozen alter version drop default, alter version type {type_}")
    client = connect(table="frozen")
    pushes = [push(call(version=1)), push(call(version=2), "notes")]
    assert [types_of(await client.upsert([each])) for each in pushes] == [[Delivered], [Delivered]]
    add_trigger(frozen, "return old;")
    assert types_of(await client.upsert([push(call(version=3), "notes")])) == [Rejected]


async def test_a_version_that_is_no_number_is_not_compared(frozen: Supabase, connect: Connect) -> None:
    frozen.execute("alter table frozen alter version drop default, alter version type text using 'v'")
    add_trigger(frozen, "new.version := 'v' || new.version; return new;", "insert or update")
    assert types_of(await connect(table="frozen").upsert([push(call())])) == [Delivered]


async def test_a_renamed_version_column_is_compared(frozen: Supabase, connect: Connect) -> None:
    client = connect(table="frozen", fields={"version": "revisión"})
    frozen.execute(client.setup_text())
    frozen.wait_for("frozen", column="revisión")
    await client.upsert([push(call())])
    add_trigger(frozen, "return old;")
    assert types_of(await client.upsert([push(call(version=2), "notes")])) == [Rejected]


@pytest.mark.parametrize("body", ["return old;", "return null;"])
async def test_without_a_version_column_a_kept_row_is_not_noticed(
    frozen: Supabase, connect: Connect, body: str
) -> None:
    client = connect(table="frozen", fields={"version": ""})
    await client.upsert([push(call())])
    frozen.execute("drop trigger frozen_keep_newest on frozen")
    add_trigger(frozen, body)
    assert types_of(await client.upsert([push(call(version=2), "notes")])) == [Delivered]


async def test_a_mark_that_a_trigger_reverts_is_rejected(frozen: Supabase, connect: Connect) -> None:
    client = connect(table="frozen", on_merge="mark")
    await client.upsert([push(call())])
    add_trigger(frozen, "return old;")
    [outcome] = await client.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    assert (type(outcome), outcome.code) == (Rejected, "row_not_changed")


async def test_a_failure_of_the_second_read_is_a_retry(frozen: Supabase, connect: Connect) -> None:
    client = connect(table="frozen")
    await client.upsert([push(call())])
    add_trigger(frozen, "return null;")
    with frozen.gateway.answering(JSONResponse({}, 503), after=1):
        assert types_of(await client.upsert([push(call(version=2))])) == [Retry]


# --- the layout kv --------------------------------------------------------------------------------

KEEPING_VALUES = {
    "return old": "return old;",
    "return null": "return null;",
    "the old value, and a time": "new.value := old.value || jsonb_build_object('seen', now()); return new;",
    "one key returns null": "if new.key = 'llamada:cloudtalk-1' then return null; end if; return new;",
    "one key returns old": "if new.key = 'llamada:cloudtalk-1' then return old; end if; return new;",
}
ADDING = "new.value := new.value || jsonb_build_object('estado_crm', 'x', 'updated', now()); return new;"


@pytest.fixture
def frozen_values(supabase: Supabase) -> Iterator[Supabase]:
    """A project with the key-value table `frozen`."""
    supabase.execute("drop table if exists frozen")
    supabase.create_kv("frozen")
    yield supabase
    supabase.execute("drop table frozen")


def connect_kv(connect: Connect, **settings: Any) -> SupabaseClient:
    return connect(layout="kv", table="frozen", **settings)


@pytest.mark.parametrize("kind", KEEPING_VALUES)
@pytest.mark.parametrize("changed", [("status",), ()], ids=["changed keys", "whole value"])
async def test_a_value_that_a_trigger_keeps_is_rejected(
    frozen_values: Supabase, connect: Connect, kind: str, changed: tuple[str, ...]
) -> None:
    client = connect_kv(connect)
    await client.upsert([push(call(status=Status.IN_PROGRESS))])
    add_trigger(frozen_values, KEEPING_VALUES[kind])
    outcomes = await client.upsert([push(call(version=2, status=Status.COMPLETED), *changed)])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed")]
    assert frozen_values.values("frozen")["llamada:cloudtalk-1"]["estado"] == "En Progreso"


@pytest.mark.parametrize("kind", ["one key returns null", "one key returns old"])
async def test_the_other_values_of_the_batch_are_delivered(
    frozen_values: Supabase, connect: Connect, kind: str
) -> None:
    client = connect_kv(connect)
    ids = ["cloudtalk-1", "cloudtalk-2"]
    await client.upsert([push(call(id_, status=Status.IN_PROGRESS)) for id_ in ids])
    add_trigger(frozen_values, KEEPING_VALUES[kind])
    outcomes = await client.upsert([push(call(id_, status=Status.COMPLETED), "status") for id_ in ids])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed"), (Delivered, None)]


async def test_a_new_value_that_a_trigger_discards_is_rejected(
    frozen_values: Supabase, connect: Connect
) -> None:
    add_trigger(frozen_values, "return null;", "insert")
    outcomes = await connect_kv(connect).upsert([push(call())])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed")]


async def test_a_trigger_that_adds_keys_to_every_value_refuses_nothing(
    frozen_values: Supabase, connect: Connect
) -> None:
    client = connect_kv(connect, tasks=True)
    add_trigger(frozen_values, ADDING, "insert or update")
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    assert types_of(await client.upsert([push(call(status=Status.COMPLETED), "status")])) == [Delivered]
    assert frozen_values.values("frozen")["llamada:cloudtalk-1"]["estado"] == "Completada"


async def test_a_value_that_is_no_object_and_that_a_trigger_keeps_is_rejected(
    frozen_values: Supabase, connect: Connect
) -> None:
    frozen_values.put({"llamada:cloudtalk-1": "typed by a person"}, "frozen")
    add_trigger(frozen_values, "return old;")
    outcomes = await connect_kv(connect).upsert([push(call())])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed")]


async def test_a_call_whose_task_a_trigger_discards_is_rejected(
    frozen_values: Supabase, connect: Connect
) -> None:
    add_trigger(frozen_values, "if new.key like 'tarea:%' then return null; end if; return new;", "insert")
    outcomes = await connect_kv(connect, tasks=True).upsert([push(call(follow_up=True))])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed")]


async def test_a_mark_in_a_value_that_a_trigger_reverts_is_rejected(
    frozen_values: Supabase, connect: Connect
) -> None:
    client = connect_kv(connect, on_merge="mark")
    await client.upsert([push(call())])
    add_trigger(frozen_values, "return old;")
    outcomes = await client.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    assert types_and_codes(outcomes) == [(Rejected, "row_not_changed")]
