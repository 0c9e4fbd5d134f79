"""Against a real PostgREST on a real PostgreSQL."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crm_clients.base import Delivered, Misconfigured
from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.check import CODES
from crm_clients.supabase.sql import table_sql
from tests.support.patience import PATIENCE
from tests.support.servers import free_port
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of


async def check(client: SupabaseClient) -> tuple[str | None, str, str]:
    [finding] = await client.check()
    assert finding.ok is (finding.code is None)
    return finding.code, finding.problem or "", finding.hint or ""


async def test_a_table_created_by_the_setup_sql_is_ok_and_check_writes_nothing(
    supabase: Supabase, connect: Connect
) -> None:
    assert await check(connect()) == (None, "", "")
    assert supabase.rows() == []


async def test_a_wrong_key_is_unauthorised_and_not_repeated(connect: Connect) -> None:
    code, problem, hint = await check(connect(key="sb_secret_wrong"))
    assert code == "unauthorised"
    assert "Invalid API key" in problem
    assert "[destinations.crm]" in hint
    assert "sb_secret_wrong" not in problem + hint


async def test_a_legacy_key_with_a_wrong_signature_is_unauthorised(connect: Connect) -> None:
    code, _, _ = await check(connect(key="eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.AAAA"))
    assert code == "unauthorised"


async def test_a_publishable_key_lacks_grants_and_the_hint_names_the_right_key(
    supabase: Supabase, connect: Connect
) -> None:
    code, problem, hint = await check(connect(key=supabase.publishable_key))
    assert code == "missing_grant"
    assert "anon" in problem
    assert "sb_secret_" in hint


async def test_an_unknown_table_is_named(connect: Connect) -> None:
    code, problem, hint = await check(connect(table="absent"))
    assert code == "unknown_table"
    assert "absent" in problem
    assert "relay setup crm --print" in hint


async def test_an_unknown_schema_is_named_with_the_setting_that_exposes_it(connect: Connect) -> None:
    code, problem, hint = await check(connect(schema="hidden"))
    assert code == "unknown_schema"
    assert "hidden" in problem
    assert "Exposed schemas" in hint


async def test_all_missing_columns_are_named_at_once(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("partial")
    supabase.execute('alter table partial drop column "from", drop column state, drop column version')
    supabase.execute("notify pgrst, 'reload schema'")
    code, problem, hint = await check(connect(table="partial"))
    assert code == "missing_column"
    assert problem == "The table partial lacks the columns from, state, version."
    assert "relay setup crm --print" in hint


@pytest.mark.parametrize(
    ("revoked", "named"),
    [
        ("select", "lacks SELECT on"),
        ("insert", "lacks INSERT on"),
        ("update", "lacks UPDATE on"),
        ("all", "lacks SELECT, INSERT on"),
    ],
)
async def test_a_missing_grant_is_named_and_the_sql_in_the_hint_grants_it(
    supabase: Supabase, connect: Connect, revoked: str, named: str
) -> None:
    supabase.create_table("guarded")
    supabase.execute(f"revoke {revoked} on guarded from service_role")
    client = connect(table="guarded")
    code, problem, hint = await check(client)
    assert code == "missing_grant"
    assert named in problem
    assert "service_role" in problem
    supabase.execute(hint.partition("SQL editor: ")[2])
    assert await check(client) == (None, "", "")
    assert supabase.rows("guarded") == []


@pytest.mark.parametrize(("granted", "code"), [(True, "unknown_table"), (False, "missing_grant")])
async def test_a_table_that_the_schema_cache_lacks_is_unknown(
    supabase: Supabase, connect: Connect, *, granted: bool, code: str
) -> None:
    supabase.settle()
    without_reload = table_sql("uncached", "public").replace("notify pgrst, 'reload schema';", "")
    revoked = "" if granted else "revoke all on uncached from service_role;"
    supabase.execute(f"drop table if exists uncached; {without_reload} {revoked}")
    found, problem, hint = await check(connect(table="uncached"))
    assert found == code
    assert "uncached" in problem
    assert "SQL" in hint


async def test_a_key_column_that_is_not_unique_is_named_and_the_sql_in_the_hint_fixes_it(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_table("loose")
    supabase.execute("alter table loose drop constraint loose_pkey; notify pgrst, 'reload schema'")
    client = connect(table="loose")
    code, problem, hint = await check(client)
    assert code == "missing_key"
    assert "loose" in problem
    supabase.execute(hint.partition("SQL editor: ")[2])
    assert await check(client) == (None, "", "")


@pytest.mark.parametrize("kind", ["primary key", "unique"])
@pytest.mark.parametrize("mode", ["deferrable", "deferrable initially deferred"])
async def test_a_deferrable_key_is_named_and_the_sql_in_the_hint_replaces_it(
    supabase: Supabase, connect: Connect, kind: str, mode: str
) -> None:
    supabase.execute("drop table if exists lazy")
    supabase.create_table("lazy")
    supabase.execute(f"alter table lazy drop constraint lazy_pkey, add {kind} (id) {mode}")
    supabase.settle()
    client = connect(table="lazy")
    code, problem, hint = await check(client)
    assert (code, "deferrable" in problem) == ("missing_key", True)
    assert types_of(await client.upsert([push(call())])) == [Misconfigured]
    supabase.execute(hint.partition("SQL editor: ")[2])
    supabase.settle()
    assert await check(client) == (None, "", "")
    assert types_of(await client.upsert([push(call())])) == [Delivered]


async def test_a_host_that_cannot_be_reached_is_named(connect: Connect) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, problem, hint = await check(connect(url=url))
    assert code == "unreachable"
    assert url in problem
    assert "the setting url" in hint


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (PlainTextResponse("<html>Not found</html>", 404), "unexpected_answer"),
        (PlainTextResponse("<html>Bad gateway</html>", 502), "unreachable"),
        (Response(status_code=301, headers={"Location": "https://elsewhere.example"}), "unexpected_answer"),
        (PlainTextResponse("hello"), "unexpected_answer"),
        (JSONResponse({"message": "slow down"}, 429), "throttled"),
        (JSONResponse({"message": "quota"}, 402), "over_quota"),
        (JSONResponse({"message": "paused"}, 540), "project_paused"),
        (JSONResponse({"code": "PGRST205", "message": "Could not find the table"}, 404), "unknown_table"),
    ],
)
async def test_other_responses_have_different_codes(
    supabase: Supabase, connect: Connect, answer: Response, code: str
) -> None:
    with supabase.gateway.answering(answer):
        found, problem, hint = await check(connect())
    assert (found, bool(problem), bool(hint)) == (code, True, True)


async def test_setup_says_where_to_run_the_sql_and_what_is_missing(connect: Connect) -> None:
    text = "\n".join(await connect(table="absent").setup())
    assert "SQL editor" in text
    assert "relay setup crm --print" in text
    assert "unknown_table" in text
    assert "crm: ready" in await connect().setup()


async def test_the_setup_sql_is_idempotent_and_completes_an_existing_table(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("create table old (id text primary key, notes text, mine text)")
    supabase.execute("insert into old values ('cloudtalk-1', 'kept', 'kept too')")
    client = connect(table="old")
    for _ in range(2):
        supabase.execute(client.setup_text())
    supabase.wait_for("old", column="version")
    assert await check(client) == (None, "", "")
    await client.upsert([push(call(version=1, tags=["x"]), "tags")])
    [row] = supabase.rows("old")
    assert (row["notes"], row["mine"], row["tags"]) == ("kept", "kept too", ["x"])


async def test_browsers_cannot_read_a_table_created_by_the_setup_sql(
    supabase: Supabase, connect: Connect
) -> None:
    await connect().upsert([push(call())])
    supabase.execute("grant select on calls to anon")
    headers = {"apikey": supabase.publishable_key}
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE) as browser:
        response = await browser.get(f"{supabase.url}/rest/v1/calls")
    supabase.execute("revoke select on calls from anon")
    assert response.json() == []


async def test_if_no_single_column_is_missing_the_first_error_is_reported(
    supabase: Supabase, connect: Connect
) -> None:
    """This happens if the API reloads the schema between the two requests."""
    answer = JSONResponse({"code": "42703", "message": "column x does not exist"}, 400)
    with supabase.gateway.answering(answer, times=1):
        code, problem, hint = await check(connect())
    assert code == "missing_column"
    assert "column x does not exist" in problem
    assert "relay setup crm --print" in hint


def test_exactly_the_codes_of_check_are_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "supabase.md").read_text("utf-8")
    _, _, section = text.partition("## What `relay check` reports")
    table = section.partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == CODES
