"""The outcome of each way in which a push can fail.

The errors come from a real PostgREST 12.0.2 and PostgreSQL if these can produce them. Responses of newer
versions and of the hosted service come from the gateway in front.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import jwt
import psycopg
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.supabase import SupabaseClient, SupabaseSettings
from tests.support.clients import make_context
from tests.support.patience import PATIENCE
from tests.support.postgrest import JWT_SECRET, running_postgrest
from tests.support.proxy import running_gateway
from tests.support.supabase import Connect, Supabase, running_supabase
from tests.support.supabase_calls import call, push, types_of

TWO = [push(call("cloudtalk-1")), push(call("cloudtalk-2"))]


@pytest.fixture(scope="module")
def own_project() -> Iterator[Supabase]:
    """A project of these tests single, whose servers they stop."""
    with running_supabase() as project:
        yield project


@asynccontextmanager
async def connected(url: str, key: str = "sb_secret_of_the_tests") -> AsyncIterator[SupabaseClient]:
    settings = SupabaseSettings.model_validate({"client": "supabase", "url": url, "key": key})
    client = SupabaseClient("crm", settings, make_context())
    try:
        yield client
    finally:
        await client.aclose()


async def shared_outcome(client: SupabaseClient, *pushes: Push) -> Outcome:
    """Push, and return the outcome that all calls share."""
    outcomes = await client.upsert(pushes)
    assert len(set(outcomes)) == 1
    return outcomes[0]


# --- errors of the database -------------------------------------------------------------------

RAISED: list[tuple[str, type[Outcome], type[Outcome]]] = [
    # code, outcome of a single row, outcome of a batch
    ("08001", Retry, Retry),
    ("08006", Retry, Retry),
    ("53100", Retry, Retry),
    ("53200", Retry, Retry),
    ("53300", Retry, Retry),
    ("57P01", Retry, Retry),
    ("57014", Retry, Split),
    ("40P01", Retry, Retry),
    ("55P03", Retry, Retry),
    ("58030", Retry, Retry),
    ("XX000", Retry, Retry),
    ("28000", Unauthorised, Unauthorised),
    ("42501", Misconfigured, Misconfigured),
    ("42P01", Misconfigured, Misconfigured),
    ("42703", Misconfigured, Misconfigured),
    ("42P10", Misconfigured, Misconfigured),
    ("22001", Rejected, Split),
    ("22P05", Rejected, Split),
    ("23000", Rejected, Split),
    ("23503", Rejected, Split),
    ("23505", Rejected, Split),
    ("23P01", Rejected, Split),
    ("P0001", Rejected, Split),
    ("PT400", Rejected, Split),
    ("54000", Rejected, Split),
    ("54001", Rejected, Split),
    ("PT401", Rejected, Split),
    ("PT402", Rejected, Split),
    ("PT403", Rejected, Split),
    ("PT404", Rejected, Split),
    ("PT405", Rejected, Split),
    ("PT413", Rejected, Split),
    ("PT409", Rejected, Split),
    ("PT429", Throttled, Throttled),
    ("PT500", Retry, Retry),
    ("PT503", Retry, Retry),
]


@pytest.fixture(scope="module")
def raising(supabase_project: Supabase) -> Supabase:
    """A table whose trigger raises the error code in a call's notes."""
    supabase_project.create_table("raising")
    supabase_project.execute("""
        create function raise_it() returns trigger language plpgsql as $$
        begin raise exception 'it is so' using errcode = new.notes; end $$;
        create trigger raise_it before insert on raising for each row execute function raise_it();
    """)
    return supabase_project


@pytest.mark.parametrize(("code", "single", "batch"), RAISED)
async def test_an_error_that_a_database_function_raises(
    raising: Supabase, connect: Connect, code: str, single: type[Outcome], batch: type[Outcome]
) -> None:
    del raising
    client = connect(table="raising")
    bad = [push(call(f"cloudtalk-{n}", notes=code)) for n in (1, 2)]
    outcome = await shared_outcome(client, bad[0])
    assert (type(outcome), outcome.code) == (single, code)
    assert "it is so" in (outcome.message or "")
    assert types_of(await client.upsert(bad)) == [batch, batch]


async def test_a_row_that_a_trigger_forbids_does_not_affect_the_others(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("drop table if exists forbidding")
    supabase.create_table("forbidding")
    supabase.execute("""
        create or replace function forbid() returns trigger language plpgsql as $$
        begin
          if new.agent_name = 'Robot' then raise sqlstate 'PT403' using message = 'no robots'; end if;
          return new;
        end $$;
        create trigger forbid before insert or update on forbidding for each row execute function forbid();
    """)
    client = connect(table="forbidding")
    robot = push(call("cloudtalk-1", agent_name="Robot"))
    assert types_of(await client.upsert([robot, TWO[1]])) == [Split, Split]
    [outcome] = await client.upsert([robot])
    assert (type(outcome), outcome.code) == (Rejected, "PT403")
    assert types_of(await client.upsert(TWO)) == [Delivered, Delivered]
    [outcome] = await client.upsert([push(call(version=2, agent_name="Robot"), "agent_name")])
    assert (type(outcome), outcome.code) == (Rejected, "PT403")


async def test_a_serialisation_failure_hangs_in_postgrest_12_0_2_and_is_unknown(
    raising: Supabase, connect: Connect
) -> None:
    """PostgREST 12.0.2 retries it without end."""
    client = connect(table="raising", timeout_seconds=0.3)
    try:
        assert isinstance(await shared_outcome(client, push(call(notes="40001"))), Unknown)
    finally:
        raising.execute("alter table raising disable trigger raise_it; select pg_sleep(0.1)")
        raising.execute("truncate raising; alter table raising enable trigger raise_it")


async def test_a_statement_that_takes_too_long_is_split(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("slow")
    supabase.execute("""
        create or replace function take_time() returns trigger language plpgsql as $$
        begin perform pg_sleep(0.2); return new; end $$;
        create trigger take_time before insert on slow for each row execute function take_time();
        alter function take_time() set statement_timeout = 0;
    """)
    with role_setting(supabase, "statement_timeout", "300ms"):
        client = connect(table="slow")
        outcome = await shared_outcome(client, *TWO)
        assert (type(outcome), outcome.code) == (Split, "57014")
        assert types_of(await client.upsert(TWO[:1])) == [Delivered]


async def test_a_locked_row_is_a_retry(supabase: Supabase, connect: Connect) -> None:
    client = connect()
    await client.upsert(TWO)
    with role_setting(supabase, "lock_timeout", "100ms"), psycopg.connect(supabase.dsn) as other_session:
        other_session.execute("update calls set notes = 'typing' where id = 'cloudtalk-1'")
        outcome = await shared_outcome(client, *TWO)
    assert (type(outcome), outcome.code) == (Retry, "55P03")


@contextmanager
def role_setting(supabase: Supabase, name: str, value: str) -> Iterator[None]:
    """Change a setting of the role; PostgREST reads it when it reloads its configuration."""
    supabase.execute(f"alter role service_role set {name} = '{value}'; notify pgrst, 'reload config'")
    supabase.execute("select pg_sleep(0.2)")
    try:
        yield
    finally:
        supabase.execute(f"alter role service_role reset {name}; notify pgrst, 'reload config'")
        supabase.execute("select pg_sleep(0.2)")


REFUSED = [
    ("alter table {} alter agent_name set not null", "23502", "agent_name"),
    ("alter table {} add check (direction <> 'inbound')", "23514", "direction"),
    ("create unique index on {} (external_number)", "23505", "external_number"),
    ("alter table {0} add foreign key (call_id) references {0} (id)", "23503", "call_id"),
    ("alter table {} alter contact_name type integer using null", "22P02", "contact_name"),
    ("alter table {} alter contact_name type varchar(3)", "22001", "contact_name with 11 characters"),
    ("alter table {} alter cloudtalk_data type varchar(30)", "22001", "cloudtalk_data with"),
    ("alter table {} alter duration_seconds type smallint", "22003", "duration_seconds"),
]


@pytest.mark.parametrize(("ddl", "code", "named"), REFUSED)
async def test_a_row_that_violates_a_constraint_is_rejected(
    supabase: Supabase, connect: Connect, ddl: str, code: str, named: str
) -> None:
    supabase.execute("drop table if exists refusing")
    supabase.create_table("refusing")
    supabase.execute(ddl.format("refusing"))
    supabase.wait_for("refusing")
    client = connect(table="refusing")
    bad = [push(call(f"cloudtalk-{n}", duration_seconds=99_999)) for n in (1, 2)]
    if code == "23505":
        await client.upsert([push(call("cloudtalk-0"))])
    assert types_of(await client.upsert(bad)) == [Split, Split]
    outcome = await shared_outcome(client, bad[0])
    assert (type(outcome), outcome.code) == (Rejected, code)
    assert named in (outcome.message or "")
    assert "+34600000001" not in (outcome.message or "")


async def test_row_level_security_is_misconfigured_for_a_role_without_a_policy(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("grant select, insert, update on calls to anon")
    try:
        outcome = await shared_outcome(connect(key=supabase.publishable_key), *TWO)
    finally:
        supabase.execute("revoke all on calls from anon")
    assert (type(outcome), outcome.code) == (Misconfigured, "42501")
    assert "row-level security" in (outcome.message or "")


@pytest.mark.parametrize("right", ["insert", "update", "select", "all"])
async def test_a_missing_grant_is_misconfigured(supabase: Supabase, connect: Connect, right: str) -> None:
    supabase.execute(f"revoke {right} on calls from service_role")
    try:
        outcome = await shared_outcome(connect(), *TWO)
    finally:
        supabase.execute("grant select, insert, update, delete on calls to service_role")
    assert (type(outcome), outcome.code) == (Misconfigured, "42501")


async def test_a_schema_that_is_not_exposed_is_misconfigured(connect: Connect) -> None:
    outcome = await shared_outcome(connect(schema="hidden"), *TWO)
    assert (type(outcome), outcome.code) == (Misconfigured, "PGRST106")


async def test_a_table_that_is_not_there_is_misconfigured(connect: Connect) -> None:
    outcome = await shared_outcome(connect(table="absent"), *TWO)
    assert (type(outcome), outcome.code) == (Misconfigured, "http_404")


async def test_a_table_without_the_key_is_misconfigured(supabase: Supabase, connect: Connect) -> None:
    supabase.execute("drop table if exists keyless_rows")
    supabase.create_table("keyless_rows")
    supabase.execute("alter table keyless_rows drop constraint keyless_rows_pkey")
    outcome = await shared_outcome(connect(table="keyless_rows"), *TWO)
    assert (type(outcome), outcome.code) == (Misconfigured, "42P10")


async def test_after_a_migration_calls_are_misconfigured_until_the_api_reloads_the_schema(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("drop table if exists migrating")
    supabase.create_table("migrating")
    client = connect(table="migrating")
    steps = [
        ("alter table migrating rename to elsewhere", "42P01"),
        ("alter table elsewhere rename to migrating; alter table migrating rename notes to n", "42703"),
    ]
    for ddl, code in steps:
        supabase.execute(ddl)
        outcome = await shared_outcome(client, *TWO)
        assert (type(outcome), outcome.code) == (Misconfigured, code)
    moved = connect(table="migrating", fields={"notes": "n"})
    outcome = await shared_outcome(moved, *TWO)
    assert (type(outcome), outcome.code) == (Misconfigured, "PGRST204")
    supabase.execute("notify pgrst, 'reload schema'")
    supabase.wait_for("migrating", column="n")
    assert types_of(await moved.upsert(TWO)) == [Delivered, Delivered]


# --- errors of PostgREST ------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_database_that_stops_during_a_batch_is_a_retry_and_has_each_call_once(
    own_project: Supabase, by: signal.Signals
) -> None:
    # No lock of another session holds the batch: the server would end that session first, and the batch
    # could be committed before its own session ends.
    own_project.execute("""
        truncate calls;
        create function hold() returns trigger language plpgsql as
            'begin perform pg_sleep(600); return new; end';
        create trigger hold before insert on calls for each row execute function hold()
    """)
    async with connected(own_project.url) as client:
        in_flight = asyncio.create_task(client.upsert(TWO))
        await until_waiting(own_project, "Timeout")
        await asyncio.to_thread(own_project.postgres.stop, by)
        try:
            assert types_of(await in_flight) == [Retry, Retry]
            outcome = await shared_outcome(client, *TWO)
            assert isinstance(outcome, Retry)
            # PostgREST may have lost its schema cache already (PGRST002), or notice only now how a
            # connection of its pool ended (PGRST001).
            assert outcome.code in {"PGRST000", "PGRST001", "PGRST002"}
        finally:
            await asyncio.to_thread(own_project.postgres.start)
            own_project.execute("drop function hold cascade")
        assert [row["id"] for row in own_project.rows()] == []
        assert await until_delivered(client) == [Delivered, Delivered]
    assert [row["id"] for row in own_project.rows()] == ["cloudtalk-1", "cloudtalk-2"]


async def until_delivered(client: SupabaseClient) -> list[type[Outcome]]:
    """Retry until the calls are delivered, as the relay does."""
    async with asyncio.timeout(PATIENCE):
        while types_of(outcomes := await client.upsert(TWO)) == [Retry, Retry]:
            await asyncio.sleep(0.05)
    return types_of(outcomes)


async def test_a_connection_closed_during_a_batch_is_a_retry(supabase: Supabase, connect: Connect) -> None:
    with psycopg.connect(supabase.dsn) as other_session:
        other_session.execute("lock table calls in exclusive mode")
        in_flight = asyncio.create_task(connect().upsert(TWO))
        await until_waiting(supabase, "Lock")
        supabase.execute("""
            select pg_terminate_backend(pid) from pg_stat_activity
            where wait_event_type = 'Lock' and pid <> pg_backend_pid()
        """)
        outcome, _ = await in_flight
    assert (type(outcome), outcome.code) == (Retry, "PGRST001")


async def until_waiting(project: Supabase, event: str) -> None:
    """Wait until a request waits: for the lock of another session ("Lock"), or in `pg_sleep` ("Timeout")."""
    waiting = "select 1 from pg_stat_activity where wait_event_type = %s and backend_type = 'client backend'"
    with psycopg.connect(project.dsn, autocommit=True) as connection:
        async with asyncio.timeout(PATIENCE):
            while connection.execute(waiting, (event,)).fetchone() is None:
                await asyncio.sleep(0.02)


async def test_an_api_without_a_schema_cache_is_a_retry(own_project: Supabase) -> None:
    own_project.execute("alter role authenticator set statement_timeout = 1")
    try:
        with running_postgrest(own_project.dsn, waits=False) as upstream:
            async with connected_to(upstream, own_project) as client:
                outcome = await shared_outcome(client, *TWO)
    finally:
        own_project.execute("alter role authenticator reset statement_timeout")
    assert (type(outcome), outcome.code) == (Retry, "PGRST002")


async def test_an_api_without_a_free_connection_is_a_retry(own_project: Supabase) -> None:
    starved = running_postgrest(own_project.dsn, db_pool="1", db_pool_acquisition_timeout="1")
    with starved as upstream, psycopg.connect(own_project.dsn) as other_session:
        async with (
            connected_to(upstream, own_project) as client,
            connected_to(upstream, own_project) as other,
        ):
            other_session.execute("lock table calls in exclusive mode")
            holding = asyncio.create_task(other.upsert(TWO))
            await until_waiting(own_project, "Lock")
            outcome = await shared_outcome(client, *TWO)
            other_session.rollback()
            await holding
    assert (type(outcome), outcome.code) == (Retry, "PGRST003")


async def test_a_request_without_a_role_is_unauthorised_if_the_project_has_no_anonymous_role(
    own_project: Supabase,
) -> None:
    with running_postgrest(own_project.dsn, db_anon_role=None) as upstream:
        async with connected_to(upstream, own_project, token=None) as client:
            outcome = await shared_outcome(client, *TWO)
    assert (type(outcome), outcome.code) == (Unauthorised, "PGRST302")


@asynccontextmanager
async def connected_to(
    upstream: str, project: Supabase, token: str | None = ""
) -> AsyncIterator[SupabaseClient]:
    """Connect to this PostgREST. `token`: the JWT that the gateway sends for the secret key, if it is not the
    service role's.
    """
    keys = {project.key: project.legacy_key if token == "" else token}
    with running_gateway(upstream, keys) as gateway:
        async with connected(gateway.url) as client:
            yield client


async def test_a_legacy_key_that_is_expired_or_of_another_project_is_unauthorised(
    supabase: Supabase,
) -> None:
    claims = {"role": "service_role", "exp": 1}
    expired = jwt.encode(claims, JWT_SECRET)
    another = jwt.encode({"role": "service_role"}, "another secret, long enough for HS256")
    for key in (expired, another):
        with running_gateway(supabase.gateway.upstream, {key: key}) as gateway:
            async with connected(gateway.url, key) as client:
                outcome = await shared_outcome(client, *TWO)
        assert (type(outcome), outcome.code) == (Unauthorised, "PGRST301")
        assert key not in (outcome.message or "")


@pytest.mark.parametrize("kind", ["key", "legacy_key"])
async def test_both_kinds_of_key_are_accepted_by_a_gateway_that_refuses_browsers(
    supabase: Supabase, connect: Connect, kind: str
) -> None:
    key = getattr(supabase, kind)
    for layout in ("table", "kv"):
        client = connect(key=key, layout=layout)
        assert types_of(await client.upsert(TWO)) == [Delivered, Delivered]
    for seen in supabase.log:
        assert seen.headers["user-agent"].startswith("cloudtalk-relay/")
        assert seen.headers["apikey"] == key
        assert seen.headers.get("authorization") == (f"Bearer {key}" if kind == "legacy_key" else None)


# --- responses of newer versions and of the hosted service -------------------------------------------

NEWER: list[tuple[int, str, type[Outcome], type[Outcome]]] = [
    # status, code, outcome of a single row, outcome of a batch
    (500, "40001", Retry, Retry),
    (500, "21000", Rejected, Split),
    (401, "PGRST303", Unauthorised, Unauthorised),
    (404, "PGRST202", Misconfigured, Misconfigured),
    (404, "PGRST205", Misconfigured, Misconfigured),
    (400, "PGRST102", Rejected, Split),
    (500, "54000", Rejected, Split),
    (500, "54001", Rejected, Split),
]


@pytest.mark.parametrize("layout", ["table", "kv"])
@pytest.mark.parametrize(("status", "code", "single", "batch"), NEWER)
async def test_a_response_of_a_newer_version(
    supabase: Supabase,
    connect: Connect,
    layout: str,
    status: int,
    code: str,
    single: type[Outcome],
    batch: type[Outcome],
) -> None:
    body = {"code": code, "message": "so it is", "details": "Failing row (+34600000001)", "hint": None}
    reads = 1 if layout == "kv" else 0
    for pushes, expected in ((TWO[:1], single), (TWO, batch)):
        with supabase.gateway.answering(JSONResponse(body, status), after=reads):
            outcome = await shared_outcome_of_changed(connect(layout=layout), pushes)
        assert (type(outcome), outcome.code) == (expected, code)
        assert "+34600000001" not in (outcome.message or "")


async def shared_outcome_of_changed(client: SupabaseClient, pushes: list[Push]) -> Outcome:
    """Push changed names: the layout kv writes only what differs from the existing records."""
    changed = [Push(call(p.call.id, contact_name=f"n{len(pushes)}"), p.changed) for p in pushes]
    return await shared_outcome(client, *changed)


HOSTED: list[tuple[int, type[Outcome]]] = [
    (401, Unauthorised),
    (402, Misconfigured),
    (403, Unauthorised),
    (404, Misconfigured),
    (429, Throttled),
    *((status, Retry) for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 544)),
    (540, Misconfigured),
]


@pytest.mark.parametrize(("status", "expected"), HOSTED)
@pytest.mark.parametrize("body", ["<html>", '{"message":"said"}'])
async def test_a_response_of_the_hosted_gateway(
    supabase: Supabase, connect: Connect, status: int, expected: type[Outcome], body: str
) -> None:
    answer: Response = PlainTextResponse(body, status, {"Retry-After": "7"})
    with supabase.gateway.answering(answer):
        outcome = await shared_outcome(connect(), *TWO)
    assert (type(outcome), outcome.code) == (expected, f"http_{status}")
    if isinstance(outcome, Retry | Throttled):
        assert outcome.after == 7
