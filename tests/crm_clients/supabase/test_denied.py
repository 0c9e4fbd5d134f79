"""What `check` reports about objects of the database that the table needs and the role may not use."""

from collections.abc import Iterator

import pytest

from crm_clients.base import Finding
from tests.support.supabase import Connect, Supabase

DROP = """
    drop table if exists needs, needs_log cascade; drop schema if exists closed cascade;
    drop function if exists next_owner, "Odd name" cascade; drop type if exists mood cascade
"""
OBJECTS: dict[str, tuple[str, str]] = {
    "the function of a default": (
        (
            "create function next_owner() returns text language sql as $$select 'x'$$;"
            "revoke execute on function next_owner from public;"
            "alter table needs add owner text default next_owner()"
        ),
        "the function next_owner",
    ),
    "a function with arguments in another schema": (
        (
            'create schema closed; create function closed."Odd name"(a int) returns text language sql as '
            "$$select 'x'$$; grant usage on schema closed to service_role;"
            'revoke execute on function closed."Odd name" from public;'
            'alter table needs add owner text default closed."Odd name"(1)'
        ),
        "the function Odd name",
    ),
    "the table of a trigger": (
        (
            "create schema closed; create table closed.needs_log (id text);"
            "grant usage on schema closed to service_role;"
            "create or replace function odd_write() returns trigger language plpgsql as "
            "$$begin insert into closed.needs_log values (new.id); return new; end$$;"
            "create trigger t after insert on needs for each row execute function odd_write()"
        ),
        "the table needs_log",
    ),
    "the schema of a trigger's table": (
        (
            "create schema closed; create table closed.needs_log (id text);"
            "grant all on closed.needs_log to service_role;"
            "create or replace function odd_write() returns trigger language plpgsql as "
            "$$begin insert into closed.needs_log values (new.id); return new; end$$;"
            "create trigger t after insert on needs for each row execute function odd_write()"
        ),
        "the schema closed",
    ),
    "the table below a view": (
        (
            "create table needs_log (like calls including all); drop table needs;"
            "create view needs with (security_invoker) as select * from needs_log;"
            "grant all on needs to service_role"
        ),
        "the table needs_log",
    ),
}


@pytest.fixture(scope="module")
def needs(supabase_project: Supabase) -> Iterator[Supabase]:
    """A project whose API knows the table `needs`, which each test creates again."""
    create(supabase_project)
    supabase_project.settle()
    yield supabase_project
    supabase_project.execute(DROP.replace("drop table if exists needs,", "drop table if exists"))
    supabase_project.execute("drop view if exists needs cascade")


def create(project: Supabase) -> None:
    project.execute("drop view if exists needs cascade" if is_view(project) else "select 1")
    project.execute(
        f"{DROP}; create table needs (like calls including all); grant all on needs to service_role"
    )


def is_view(project: Supabase) -> bool:
    return bool(project.rows("pg_views where viewname = 'needs'", "viewname"))


@pytest.mark.parametrize("object_", OBJECTS)
async def test_an_object_without_a_grant_is_named_and_the_sql_in_the_hint_grants_it(
    needs: Supabase, connect: Connect, object_: str
) -> None:
    create(needs)
    sql, named = OBJECTS[object_]
    needs.execute(sql)
    client = connect(table="needs")
    [finding] = await client.check()
    assert (finding.ok, finding.code) == (False, "missing_grant")
    assert named in (finding.problem or "")
    assert "service_role" in (finding.problem or "")
    assert "lacks INSERT" not in (finding.problem or "")
    needs.execute((finding.hint or "").partition("SQL editor: ")[2])
    assert await client.check() == [Finding(name="crm", ok=True)]
