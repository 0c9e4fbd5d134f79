"""What `check` reports about tables that accept only some kinds of calls."""

from collections.abc import Iterator
from typing import Any

import pytest

from crm_clients.base import Delivered, Finding, Rejected
from relay.call import Status
from tests.support.clients import make_retraction
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

READY = Finding(name="crm", ok=True)
POLICIES = """
    alter table odd enable row level security;
    create policy r on odd for select using (true);
    create policy i on odd for insert with check (true);
"""
CREATE = """
    drop table if exists odd cascade; drop type if exists word;
    create table odd (like calls including all); grant all on odd to service_role, anon
"""


@pytest.fixture(scope="module")
def known(supabase_project: Supabase) -> Iterator[Supabase]:
    """A project whose API knows the table `odd`."""
    supabase_project.execute(CREATE)
    supabase_project.settle()
    yield supabase_project
    supabase_project.execute("drop table odd cascade")


@pytest.fixture
def odd(known: Supabase) -> Supabase:
    """A project with the table `odd`, which each test changes, but not the types of its columns."""
    known.execute(CREATE)
    return known


@pytest.fixture
def retyped(odd: Supabase) -> Iterator[Supabase]:
    """A project with the table `odd`, where a test may also change types, by `change`."""
    yield odd
    change(odd, CREATE)


def change(project: Supabase, sql: str) -> None:
    """Run SQL, and wait until the API knows the new types."""
    project.execute(sql)
    project.settle()


async def check(connect: Connect, **settings: Any) -> Finding:
    [finding] = await connect(table="odd", **settings).check()
    return finding


def sql_of(finding: Finding) -> str:
    """Return the SQL of a hint."""
    return (finding.hint or "").partition("SQL editor: ")[2].partition(" Or ")[0]


# --- columns that are null in some calls ------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [["agent_id"], ["ended_at"], ["transcript", "duration_seconds", "direction"], ["contact_name", "from"]],
)
async def test_all_columns_that_some_calls_leave_null_are_named_and_the_sql_helps(
    odd: Supabase, connect: Connect, columns: list[str]
) -> None:
    odd.execute("; ".join(f'alter table odd alter "{column}" set not null' for column in columns))
    finding = await check(connect)
    assert finding.code == "not_nullable"
    problem, hint = finding.problem or "", finding.hint or ""
    assert "not every call" in problem
    assert sorted(problem.rstrip(".").partition("value for them: ")[2].split(", ")) == sorted(columns)
    assert all(f"fields.{column}" in hint for column in columns)
    odd.execute(sql_of(finding))
    assert await check(connect) == READY


async def test_a_column_that_nothing_fills_has_another_message(odd: Supabase, connect: Connect) -> None:
    odd.execute("alter table odd add owner uuid not null, alter agent_id set not null")
    finding = await check(connect)
    assert (finding.code, "nothing fills it" in (finding.problem or "")) == ("required_column", True)


async def test_a_required_column_that_every_call_fills_is_ok(odd: Supabase, connect: Connect) -> None:
    names = ("status", "state", "follow_up", "tags", "cloudtalk_data", "version")
    odd.execute("; ".join(f"alter table odd alter {name} set not null" for name in names))
    assert await check(connect) == READY


# --- words that a column lacks ----------------------------------------------------------------------

ENUM = "create type word as enum ({}); alter table odd alter {} type word using {}::word"


def enum(column: str, *words: str) -> str:
    return ENUM.format(", ".join(f"'{word}'" for word in words), column, column)


STATUSES = [
    (enum("status", "En Progreso", "Completada"), {"missed", "voicemail", "no_answer"}, "Perdida"),
    (enum("status", "Completada", "Perdida"), {"in_progress"}, "En Progreso"),
    ("alter table odd add check (status in ('En Progreso', 'Completada'))", {"missed"}, "Perdida"),
    ("alter table odd add check (state <> 'voicemail')", {"voicemail"}, "Perdida"),
    (enum("state", "in_progress", "answered", "completed", "missed"), {"voicemail", "no_answer"}, "Perdida"),
]


@pytest.mark.parametrize(("sql", "statuses", "label"), STATUSES)
async def test_statuses_that_a_column_lacks_are_named_with_their_settings(
    retyped: Supabase, connect: Connect, sql: str, statuses: set[str], label: str
) -> None:
    change(retyped, sql)
    finding = await check(connect)
    assert (finding.ok, finding.code) == (False, "refused_status")
    assert all(f'"{label}" ({status})' in (finding.problem or "") for status in statuses)
    assert "(completed)" not in (finding.problem or "")
    assert all(f"labels.{status}" in (finding.hint or "") for status in statuses)
    assert "[destinations.crm]" in (finding.hint or "")
    missed = call("cloudtalk-7", status=Status(min(statuses)))
    assert types_of(await connect(table="odd").upsert([push(missed)])) == [Rejected]
    assert retyped.rows("odd") == []


async def test_the_sql_of_the_hint_adds_the_words_to_the_enum(retyped: Supabase, connect: Connect) -> None:
    change(retyped, enum("state", "completed", "missed"))
    retyped.execute(sql_of(await check(connect)))
    retyped.settle()
    assert await check(connect) == READY


async def test_only_calls_that_are_delivered_need_a_word(retyped: Supabase, connect: Connect) -> None:
    change(retyped, enum("status", "Perdida", "Hecha"))
    assert (await check(connect)).code == "wrong_type"
    labels = dict.fromkeys(("in_progress", "answered", "completed"), "Hecha")
    assert await check(connect, labels=labels) == READY
    assert await check(connect, when={"statuses": ["missed"], "directions": ["outbound"]}) == READY


@pytest.mark.parametrize(
    ("words", "refused", "ok"),
    [
        (["inbound"], ["outbound", "internal"], False),
        (["inbound", "internal"], ["outbound"], False),
        (["inbound", "outbound"], ["internal"], True),
    ],
)
async def test_directions_that_a_column_lacks_are_named(
    odd: Supabase, connect: Connect, words: list[str], refused: list[str], ok: bool
) -> None:
    odd.execute(f"alter table odd add constraint way check (direction in ({str(words)[1:-1]}))")
    finding, *rest = await connect(table="odd").check()
    assert (finding.ok, finding.code) == (ok, "refused_direction")
    assert [word for word in ("inbound", "outbound", "internal") if f'"{word}"' in finding.problem] == refused  # type: ignore[operator]
    assert "fields.direction in [destinations.crm]" in (finding.hint or "")
    assert rest == ([READY] if ok else [])


async def test_several_reasons_are_several_findings(odd: Supabase, connect: Connect) -> None:
    odd.execute(
        "alter table odd alter agent_id set not null, add check (direction = 'inbound'),"
        " add check (status <> 'Perdida')",
    )
    findings = await connect(table="odd").check()
    assert [each.code for each in findings] == ["not_nullable", "refused_direction", "refused_status"]


# --- triggers and keys that are checked after the insert --------------------------------------------

AFTER = "create {} trigger t after insert {} on odd {} for each row {} execute function odd_refuse()"


@pytest.mark.parametrize(
    ("trigger", "code"),
    [
        (AFTER.format("", "", "", ""), "refused_call"),
        (AFTER.format("", "or update", "", "when (new.state = 'voicemail')"), "refused_status"),
        (AFTER.format("constraint", "", "", ""), "refused_call"),
        (AFTER.format("constraint", "", "deferrable initially immediate", ""), "refused_call"),
    ],
)
async def test_triggers_that_refuse_after_the_insert_are_found(
    odd: Supabase, connect: Connect, trigger: str, code: str
) -> None:
    odd.execute(
        "create or replace function odd_refuse() returns trigger language plpgsql as "
        f"$$begin raise exception 'too late'; end$$; {trigger}",
    )
    finding = await check(connect)
    assert (finding.ok, finding.code, "too late" in (finding.problem or "")) == (False, code, True)


async def test_a_trigger_that_lacks_a_grant_is_named(odd: Supabase, connect: Connect) -> None:
    odd.execute("""
        create table odd_log (id text);
        create or replace function odd_write() returns trigger language plpgsql as
          $$begin insert into odd_log values (new.id); return new; end$$;
        create trigger t after insert on odd for each row execute function odd_write()
    """)
    finding = await check(connect)
    odd.execute("drop table odd_log")
    assert finding.code == "missing_grant"
    assert "odd_log" in (finding.problem or "")


async def test_a_policy_for_some_new_rows_is_named_once(odd: Supabase, connect: Connect) -> None:
    odd.execute(f"{POLICIES}; drop policy i on odd")
    odd.execute("create policy i on odd for all using (true) with check (state <> 'missed' and tags <> '[]')")
    assert (await check(connect, key=odd.publishable_key)).code == "row_level_security"


async def test_a_foreign_key_is_a_warning_that_names_the_constraint(odd: Supabase, connect: Connect) -> None:
    odd.execute(
        "create table odd_agents (id text primary key);"
        "alter table odd add constraint known_agent foreign key (agent_id) references odd_agents (id)",
    )
    warning, ready = await connect(table="odd").check()
    odd.execute("alter table odd drop constraint known_agent; drop table odd_agents")
    assert (warning.ok, warning.code) == (True, "missing_reference")
    assert "known_agent" in (warning.problem or "")
    assert ready == READY


DISCARDING = {
    "one status": "if new.state <> 'missed' then return null; end if; return new;",
    "all but one row": "if new.id not like '%-000000000001' then return null; end if; return new;",
    "all but the first row": "if exists (select from odd) then return null; end if; return new;",
}


@pytest.mark.parametrize("kind", DISCARDING)
async def test_a_trigger_that_discards_some_rows_is_found_and_nothing_stays(
    odd: Supabase, connect: Connect, kind: str
) -> None:
    odd.execute(
        f"create or replace function odd_drop() returns trigger language plpgsql as "
        f"$$begin {DISCARDING[kind]} end$$;"
        "create trigger t before insert on odd for each row execute function odd_drop()",
    )
    finding = await check(connect)
    assert finding.code == "discarded_rows"
    assert odd.rows("odd") == []


# --- rows that exist --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["using (false)", "using (state = 'answered')", None])
async def test_a_policy_that_hides_rows_from_updates_is_found(
    odd: Supabase, connect: Connect, policy: str | None
) -> None:
    await connect(table="odd").upsert([push(call())])
    updating = f"create policy u on odd for update {policy} with check (true);" if policy else ""
    odd.execute(f"{POLICIES} {updating}")
    before = odd.rows("odd")
    finding = await check(connect, key=odd.publishable_key)
    assert (finding.ok, finding.code) == (False, "row_level_security")
    assert "USING expression" in (finding.problem or "")
    assert odd.rows("odd") == before
    odd.execute("drop policy if exists u on odd; create policy u on odd for update using (true)")
    finding = await check(connect, key=odd.publishable_key)
    assert finding.ok


@pytest.mark.parametrize(
    ("body", "code"), [("raise exception 'no'", "refused_call"), ("return null", "discarded_rows")]
)
async def test_a_trigger_that_refuses_updates_is_found(
    odd: Supabase, connect: Connect, body: str, code: str
) -> None:
    await connect(table="odd").upsert([push(call(version=9))])
    odd.execute(
        f"create or replace function odd_hold() returns trigger language plpgsql as $$begin {body}; end$$;"
        "create trigger t before update on odd for each row execute function odd_hold()",
    )
    before = odd.rows("odd")
    assert (await check(connect)).code == code
    assert odd.rows("odd") == before


@pytest.mark.parametrize("layout", ["table", "kv"])
async def test_a_table_with_calls_stays_as_it_is(supabase: Supabase, connect: Connect, layout: str) -> None:
    table, key = ("calls", "id") if layout == "table" else ("kv_store_d03ded2a", "key")
    supabase.execute(f"truncate {table}")
    client = connect(layout=layout, table=table, tasks=layout == "kv")
    assert types_of(await client.upsert([push(call(version=4, status=Status.MISSED))])) == [Delivered]
    before = supabase.rows(table, key)
    assert [finding.ok for finding in await client.check()] == [True]
    assert supabase.rows(table, key) == before


async def test_a_check_of_a_good_table_takes_few_requests(supabase: Supabase, connect: Connect) -> None:
    before = len(supabase.log)
    await connect().check()
    assert len(supabase.log) - before <= 6


async def test_a_key_value_table_that_refuses_a_label_is_found(supabase: Supabase, connect: Connect) -> None:
    supabase.create_kv("odd_values")
    supabase.execute("alter table odd_values add constraint c check (value->>'estado' <> 'Perdida')")
    [finding] = await connect(layout="kv", table="odd_values").check()
    supabase.execute("drop table odd_values")
    assert (finding.ok, finding.code) == (False, "refused_status")
    assert "labels.missed" in (finding.hint or "")
    assert "fields" not in (finding.hint or "")


async def test_a_trigger_that_discards_one_call_lets_its_retraction_write_nothing(
    odd: Supabase, connect: Connect
) -> None:
    odd.execute(
        "create or replace function odd_drop() returns trigger language plpgsql as "
        "$$begin if new.id = 'cloudtalk-1' then return null; end if; return new; end$$;"
        "create trigger t before insert on odd for each row execute function odd_drop()",
    )
    outcomes = await connect(table="odd").retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    assert types_of(outcomes) == [Delivered]
    assert odd.rows("odd") == []
