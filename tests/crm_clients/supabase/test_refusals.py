"""What `check` and the setup SQL report about tables that would refuse every call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest

from crm_clients.base import Delivered, Finding, Retry
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.location import Location
from crm_clients.supabase.refusals import (
    REFUSALS,
    explain_refusal,
    quoted_name,
    refusal_code,
    warn_of_narrow_columns,
)
from crm_clients.supabase.rest import Row
from crm_clients.supabase.sql import kv_sql, table_sql
from tests.support.scripted_table import ScriptedTable
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

# --- findings without a database ----------------------------------------------------------------

FULL: tuple[Row, Row] = (
    {"notes": "n1", "origin": "CloudTalk", "id": "a1", "merged_into": "m", "summary": "s1"},
    {"notes": "n2", "origin": "CloudTalk", "id": "a2", "merged_into": "m", "summary": "s2"},
)
LONG: tuple[Row, Row] = (
    {"notes": "long 1", "origin": "CloudTalk", "id": "a1", "merged_into": "m", "summary": "long"},
    {"notes": "long 2", "origin": "CloudTalk", "id": "a2", "merged_into": "m", "summary": "long"},
)
SETTINGS = {name: f"fields.{name}" for name in ("id", "notes", "summary")} | {"origin": "constants.origin"}
EDITOR = "Supabase's SQL editor"
RUN = f"Run in {EDITOR}: "
SETUP = (
    f"Run the SQL of `relay setup crm --print` in {EDITOR} "
    "(https://supabase.com/dashboard/project/abc/sql/new). It adds the columns."
)


def at(**changes: Any) -> Location:
    defaults: dict[str, Any] = {
        "destination": "crm",
        "url": "https://abc.supabase.co",
        "table": "calls",
        "schema": None,
        "role": "service_role",
        "key": "id",
        "columns": tuple(FULL[0]),
        "full": FULL,
        "long": LONG,
        "samples": (),
        "key_prefix": "cloudtalk-",
        "settings": SETTINGS,
    }
    return Location(**defaults | changes)


def refuse_values(**refused: tuple[Any, ApiFailure]) -> Callable[[Sequence[Row]], ApiFailure | None]:
    """Refuse rows that have one of these values in one of these columns."""

    def refuse(rows: Sequence[Row]) -> ApiFailure | None:
        failures = (
            failure
            for row in rows
            for column, (value, failure) in refused.items()
            if row.get(column) in (value, f"{value}1")
        )
        return next(failures, None)

    return refuse


def change_type(column: str, type_: str = "text", schema: str = "public") -> str:
    return (
        f'alter table "{schema}"."calls" alter column "{column}" drop default, '
        f'alter column "{column}" type {type_} using "{column}"::{type_};'
    )


NO_NUMBER = ApiError(400, "22P02", "no number")
TOO_LONG = ApiError(400, "22001", "too long")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ApiError(400, "428C9"), "generated_column"),
        (ApiError(400, "23502"), "required_column"),
        (ApiError(409, "23503"), "missing_reference"),
        (ApiError(406, "PGRST116"), "discarded_rows"),
        (ApiError(403, "42501", "permission denied for sequence s"), "missing_sequence_grant"),
        (ApiError(403, "42501", 'row-level security policy for table "t"'), "row_level_security"),
        (ApiError(403, "42501", "permission denied for table t"), None),
        (ApiError(403, "42501"), None),
        (ApiError(400, "22P02"), "wrong_type"),
        (ApiError(400, "22001"), "wrong_type"),
        (ApiError(400, "23514"), "refused_call"),
        (ApiError(400, "P0001"), "refused_call"),
        (ApiError(400), "refused_call"),
        (ApiError(500, "54000"), None),
        (ApiError(503), None),
        (ApiError(404, "42P01"), None),
        (Retry(code="23502"), None),
        (None, None),
    ],
)
async def test_only_the_refusal_of_a_call_is_explained(failure: ApiFailure | None, code: str | None) -> None:
    assert refusal_code(failure) == code
    if failure is not None:
        found = await explain_refusal(ScriptedTable(), at(), failure)
        no_column = code in {"generated_column", "wrong_type"}
        assert (found and found.code) == ("refused_call" if no_column else code)


def test_the_codes_of_refusals_are_those_of_the_documentation() -> None:
    assert {
        "wrong_type",
        "generated_column",
        "required_column",
        "missing_sequence_grant",
        "row_level_security",
        "discarded_rows",
        "refused_call",
        "missing_reference",
        "narrow_column",
    } == REFUSALS


REFUSED = [
    (
        ApiError(400, "23502", 'null value in column "Owner" of relation "calls"'),
        "The column Owner of {table} must not be null, and nothing fills it.",
        (
            "Set constants.Owner in [destinations.crm] to its value, or allow null. "
            f'{RUN}alter table "{{schema}}"."calls" alter column "Owner" drop not null;'
        ),
        f'{RUN}alter table "{{schema}}"."calls" alter column "Owner" drop not null;',
    ),
    (
        ApiError(403, "42501", "permission denied for sequence odd_seq"),
        "The role service_role cannot use a sequence of {table} (permission denied for sequence odd_seq).",
        f'{RUN}grant usage on sequence "{{schema}}"."odd_seq" to service_role;',
        None,
    ),
    (
        ApiError(403, "42501", "violates row-level security policy"),
        (
            "Row level security of {table} refuses calls of the role service_role "
            "(violates row-level security policy)."
        ),
        (
            f'{RUN}create policy cloudtalk_relay on "{{schema}}"."calls" for all to service_role '
            "using (true) with check (true);"
        ),
        None,
    ),
    (
        ApiError(409, "23503", "key is not present in people"),
        (
            "Calls in {table} need rows of another table, which the relay does not write: "
            "key is not present in people."
        ),
        (
            "Drop the constraint that the message names, or keep the other table complete. Calls without "
            'such a row become dead letters. A field that is "" under fields in [destinations.crm] is not '
            "written."
        ),
        (
            "Drop the constraint that the message names, or keep the other table complete. Calls without "
            "such a row become dead letters. "
        ),
    ),
    (
        ApiError(406, "PGRST116", "0 rows"),
        "A trigger of {table} discards rows, so calls would disappear without an error.",
        "Change the trigger in Supabase under Database, Triggers, so that it returns the row.",
        None,
    ),
    (
        ApiError(400, "23514"),
        "The table {table} refuses a sample of a call: no explanation was given.",
        (
            "Such calls become dead letters. Change the constraint or the trigger that the message names, or "
            "choose other labels, fields or constants in [destinations.crm]."
        ),
        None,
    ),
]


@pytest.mark.parametrize(("failure", "problem", "hint", "kv_hint"), REFUSED)
@pytest.mark.parametrize("schema", [None, "crm"])
@pytest.mark.parametrize("settings", [SETTINGS, {}])
async def test_each_refusal_has_its_problem_and_its_hint(
    failure: ApiError,
    problem: str,
    hint: str,
    kv_hint: str | None,
    schema: str | None,
    settings: Mapping[str, str],
) -> None:
    found = await explain_refusal(ScriptedTable(), at(schema=schema, settings=settings), failure)
    assert found is not None
    expected = hint if settings or kv_hint is None else kv_hint
    assert found.problem == problem.format(table="crm.calls" if schema else "calls")
    assert found.hint == expected.format(schema=schema or "public")
    assert (found.name, found.ok) == ("crm", failure.code == "23503")


async def test_a_browsers_key_that_row_level_security_refuses_is_to_be_replaced() -> None:
    failure = ApiError(403, "42501", "row-level security policy")
    found = await explain_refusal(ScriptedTable(), at(role="anon"), failure)
    assert found is not None
    assert found.hint is not None
    assert found.hint.startswith("The key belongs to the role anon, which is for browsers.")


def test_the_column_of_a_message_is_its_first_name() -> None:
    assert quoted_name(ApiError(400, message='column "Owner" of "calls"')) == "Owner"
    assert quoted_name(ApiError(400, message='column "" of calls')) == "?"
    assert quoted_name(ApiError(400)) == "?"


async def test_each_column_of_a_wrong_type_is_named_with_all_ways_to_correct_it() -> None:
    table = ScriptedTable(
        refuse=refuse_values(
            notes=("n", TOO_LONG),
            origin=("CloudTalk", NO_NUMBER),
            merged_into=("m", NO_NUMBER),
            summary=("s", ApiError(400, "23514", "a check")),
        )
    )
    assert await explain_refusal(table, at(), NO_NUMBER) == Finding(
        name="crm",
        ok=False,
        code="wrong_type",
        problem="Columns of the table calls cannot store the values of a call: notes (too long); origin (no "
        "number); merged_into (no number).",
        hint=f'Set fields.notes = "cloudtalk_notes" in [destinations.crm]. {SETUP} '
        f"Correct constants.origin in [destinations.crm]. {RUN}{change_type('merged_into')} "
        f"Or: {RUN}{change_type('notes')}",
    )
    assert table.tried == [
        [{"id": "a1"}, {"id": "a2"}],
        [{"id": "a1", "notes": "n1"}, {"id": "a2", "notes": "n2"}],
        [{"id": "a1", "origin": "CloudTalk"}, {"id": "a2", "origin": "CloudTalk"}],
        [{"id": "a1", "merged_into": "m"}, {"id": "a2", "merged_into": "m"}],
        [{"id": "a1", "summary": "s1"}, {"id": "a2", "summary": "s2"}],
    ]


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (
            ["notes", "summary"],
            (
                'Set fields.notes = "cloudtalk_notes" and fields.summary = "cloudtalk_summary"'
                f" in [destinations.crm]. {SETUP}"
            ),
        ),
        (["origin"], "Correct constants.origin in [destinations.crm]."),
        (["merged_into"], f"{RUN}{change_type('merged_into')}"),
    ],
)
async def test_a_hint_has_only_the_ways_that_its_columns_need(columns: list[str], hint: str) -> None:
    values = {"notes": "n", "summary": "s", "origin": "CloudTalk", "merged_into": "m"}
    refused = refuse_values(**{column: (values[column], NO_NUMBER) for column in columns})
    found = await explain_refusal(ScriptedTable(refuse=refused), at(), NO_NUMBER)
    assert found is not None
    assert found.hint == hint


async def test_several_constants_and_several_types_are_in_one_hint() -> None:
    refused = refuse_values(
        notes=("n", TOO_LONG),
        summary=("s", TOO_LONG),
        origin=("CloudTalk", NO_NUMBER),
        merged_into=("m", NO_NUMBER),
    )
    settings = {"notes": "constants.notes", "origin": "constants.origin"}
    found = await explain_refusal(ScriptedTable(refuse=refused), at(settings=settings), NO_NUMBER)
    assert found is not None
    assert found.hint == (
        "Correct constants.notes and constants.origin in [destinations.crm]. "
        f"{RUN}{change_type('merged_into')} {change_type('summary')} "
        f"Or: {RUN}{change_type('notes')} {change_type('summary')}"
    )


async def test_if_the_key_has_a_wrong_type_no_other_column_is_tried() -> None:
    table = ScriptedTable(refuse=refuse_values(id=("a", NO_NUMBER), notes=("n", NO_NUMBER)))
    found = await explain_refusal(table, at(), NO_NUMBER)
    assert found is not None
    assert found.problem == "Columns of the table calls cannot store the values of a call: id (no number)."
    assert len(table.tried) == 1


async def test_in_a_key_value_table_the_value_becomes_jsonb() -> None:
    rows = ({"key": "k1", "value": "v"}, {"key": "k2", "value": "v"})
    location = at(key="key", full=rows, long=rows, settings={}, schema="crm")
    refused = refuse_values(value=("v", TOO_LONG))
    found = await explain_refusal(ScriptedTable(refuse=refused), location, TOO_LONG)
    assert found is not None
    assert found.hint == f"{RUN}{change_type('value', 'jsonb', 'crm')}"


async def test_generated_columns_are_named_with_their_settings() -> None:
    generated = ApiError(400, "428C9", "is generated")
    refused = refuse_values(notes=("n", generated), summary=("s", generated), origin=("CloudTalk", NO_NUMBER))
    assert await explain_refusal(ScriptedTable(refuse=refused), at(), generated) == Finding(
        name="crm",
        ok=False,
        code="generated_column",
        problem="The database generates values of the table calls that the relay has to write: "
        "notes, summary.",
        hint='Set fields.notes = "cloudtalk_notes" and fields.summary = "cloudtalk_summary" '
        f"in [destinations.crm]. {SETUP}",
    )


@pytest.mark.parametrize("failure", [NO_NUMBER, ApiError(400, "428C9", "no number")])
async def test_values_that_the_table_refuses_only_together_are_a_refused_call(failure: ApiError) -> None:
    table = ScriptedTable(refuse=refuse_values(notes=("n", Retry(code="503"))))
    found = await explain_refusal(table, at(), failure)
    assert found is not None
    assert (found.code, found.problem) == (
        "refused_call",
        "The table calls refuses a sample of a call: no number.",
    )
    assert len(table.tried) == 5


NARROW = "The table calls refuses some long values, and calls that have them become dead letters: "
OTHERWISE = "Change the constraint or the trigger that the message names."


@pytest.mark.parametrize(
    ("refused", "problem", "hint"),
    [
        (
            {"notes": ("long ", TOO_LONG), "summary": ("long", TOO_LONG)},
            "notes (too long); summary (too long).",
            f"{RUN}{change_type('notes')} {change_type('summary')}",
        ),
        ({"notes": ("long ", NO_NUMBER)}, "notes (no number).", OTHERWISE),
    ],
)
async def test_a_column_for_short_values_is_a_warning(
    refused: Mapping[str, tuple[Any, ApiFailure]], problem: str, hint: str
) -> None:
    table = ScriptedTable(refuse=refuse_values(**refused))
    warning = Finding(name="crm", ok=True, code="narrow_column", problem=NARROW + problem, hint=hint)
    assert await warn_of_narrow_columns(table, at()) == [warning]
    assert table.tried == [
        list(LONG),
        [FULL[0] | {"notes": "long 1"}, FULL[1] | {"notes": "long 2"}],
        [FULL[0] | {"summary": "long"}, FULL[1] | {"summary": "long"}],
    ]


async def test_in_a_key_value_table_no_sql_widens_a_value() -> None:
    table = ScriptedTable(refuse=refuse_values(notes=("long ", TOO_LONG)))
    [warning] = await narrow_findings(table, at(settings={}))
    assert (warning.problem, warning.hint) == (f"{NARROW}notes (too long).", OTHERWISE)


async def narrow_findings(table: ScriptedTable, location: Location) -> list[Finding]:
    found = await warn_of_narrow_columns(table, location)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("other", [None, Retry(code="503"), ApiError(400, "23514", "a check")])
async def test_a_limit_that_no_column_has_by_itself_has_the_message_of_the_table(
    other: ApiFailure | None,
) -> None:
    table = ScriptedTable(refuse=lambda rows: TOO_LONG if list(rows) == list(LONG) else other)
    [warning] = await narrow_findings(table, at())
    assert (warning.problem, warning.hint) == (f"{NARROW}too long.", OTHERWISE)


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (None, []),
        (ApiError(409, "23503", "no such person"), []),
        (Retry(code="503"), Retry(code="503")),
        (ApiError(401), ApiError(401)),
    ],
)
async def test_a_table_that_stores_long_values_has_no_warning(
    failure: ApiFailure | None, found: list[Finding] | ApiFailure
) -> None:
    table = ScriptedTable(refuse=lambda _: failure)
    assert await warn_of_narrow_columns(table, at()) == found
    assert table.tried == [list(LONG)]


# --- findings from a database -------------------------------------------------------------------


@pytest.fixture
def odd(supabase: Supabase) -> Iterator[Supabase]:
    """A project with the table `odd`, which each test changes."""
    supabase.execute("drop table if exists odd; create table odd (like calls including all)")
    yield supabase
    supabase.execute("drop table odd cascade")


def change(project: Supabase, sql: str) -> None:
    grants = "grant all on odd to service_role; notify pgrst, 'reload schema'"
    project.execute(f"{sql}; {grants}")
    project.settle()


async def check(connect: Connect, **settings: Any) -> Finding:
    [finding] = await connect(table="odd", **settings).check()
    return finding


IDS = [
    ("bigint generated by default as identity", "bigint"),
    ("integer", "integer"),
    ("uuid default gen_random_uuid()", "uuid"),
    ("varchar(10)", "character varying(10)"),
    ("char(30)", "character(30)"),
    ("timestamptz default now()", "timestamp"),
    ("numeric", "numeric"),
]


@pytest.mark.parametrize(("type_", "named"), IDS)
async def test_an_id_column_of_another_type_is_named_with_its_setting(
    odd: Supabase, connect: Connect, type_: str, named: str
) -> None:
    change(odd, f"alter table odd drop column id, add column id {type_} primary key")
    finding = await check(connect)
    assert finding.code == "wrong_type"
    assert "id (" in (finding.problem or "")
    assert named in (finding.problem or "")
    assert 'fields.id = "cloudtalk_id" in [destinations.crm]' in (finding.hint or "")
    assert odd.rows("odd") == []


@pytest.mark.parametrize("type_", ["text", "varchar", "varchar(46)", "varchar(250)"])
async def test_an_id_column_that_can_store_every_usual_id_is_ok(
    odd: Supabase, connect: Connect, type_: str
) -> None:
    change(odd, f"alter table odd drop column id, add column id {type_} primary key")
    assert await check(connect) == Finding(name="crm", ok=True)
    assert types_of(await connect(table="odd").upsert([push(call())])) == [Delivered]


@pytest.mark.parametrize(
    ("column", "type_", "code"),
    [
        ("cloudtalk_data", "varchar(100)", "wrong_type"),
        ("cloudtalk_data", "varchar(1000)", "wrong_type"),
        ("notes", "varchar(255)", "wrong_type"),
        ("summary", "char(200)", "wrong_type"),
        ("contact_name", "varchar(20)", "wrong_type"),
        ("recording_url", "varchar(64)", "wrong_type"),
        ("transcript", "varchar(8000)", "narrow_column"),
        ("external_number", "varchar(13)", "narrow_column"),
        ("agent_name", "varchar(100)", "narrow_column"),
    ],
)
async def test_a_column_that_is_too_narrow_is_named_and_the_sql_in_the_hint_removes_its_limit(
    odd: Supabase, connect: Connect, column: str, type_: str, code: str
) -> None:
    change(odd, f"alter table odd drop {column}, add {column} {type_}")
    client = connect(table="odd")
    findings = await client.check()
    assert (findings[0].code, findings[0].ok) == (code, code == "narrow_column")
    assert f": {column} (value too long for type" in (findings[0].problem or "")
    change(odd, (findings[0].hint or "").partition("SQL editor: ")[2])
    assert await client.check() == [Finding(name="crm", ok=True)]
    assert odd.rows("odd") == []


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("alter table odd drop call_id, add call_id integer", "call_id (value"),
        ("alter table odd add constraint brief check (length(notes) < 1000)", "notes (new row"),
    ],
)
async def test_another_limit_for_long_values_is_a_warning(
    odd: Supabase, connect: Connect, sql: str, named: str
) -> None:
    change(odd, sql)
    warning, ready = await connect(table="odd").check()
    assert (warning.ok, warning.code, ready.ok) == (True, "narrow_column", True)
    assert named in (warning.problem or "")


async def test_the_dashboards_default_table_receives_calls_after_the_hint_was_followed(
    odd: Supabase, connect: Connect
) -> None:
    default = "create table odd (id bigint generated by default as identity primary key,"
    change(odd, f"drop table odd; {default} created_at timestamptz not null default now())")
    odd.execute("grant usage on schema public to service_role")
    client = connect(table="odd", fields={"id": "cloudtalk_id"})
    odd.execute(client.setup_text())
    odd.wait_for("odd", column="cloudtalk_id")
    assert [finding.ok for finding in await client.check()] == [True]
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    assert [row["cloudtalk_id"] for row in odd.rows("odd")] == ["cloudtalk-1"]


async def test_all_columns_of_another_type_are_named(odd: Supabase, connect: Connect) -> None:
    change(
        odd,
        "alter table odd drop column contact_name, add column contact_name integer,"
        " drop column started_at, add column started_at bigint, drop column follow_up,"
        " add column follow_up uuid, add column origin integer",
    )
    finding = await check(connect, constants={"origin": "CloudTalk"})
    assert finding.code == "wrong_type"
    for column in ("contact_name", "started_at", "follow_up", "origin"):
        assert f"{column} (" in (finding.problem or "")
    assert 'fields.started_at = "cloudtalk_started_at"' in (finding.hint or "")
    assert "constants.origin" in (finding.hint or "")


async def test_the_column_of_merged_calls_must_be_text_only_if_it_is_written(
    odd: Supabase, connect: Connect
) -> None:
    change(odd, "alter table odd drop column merged_into, add column merged_into bigint default 0")
    assert (await check(connect)).ok
    finding = await check(connect, on_merge="mark")
    assert (finding.code, "merged_into" in (finding.problem or "")) == ("wrong_type", True)
    odd.execute((finding.hint or "").partition("SQL editor: ")[2])
    odd.settle()
    assert (await check(connect, on_merge="mark")).ok


@pytest.mark.parametrize("type_", ["uuid", "bigint", "date", "text[]", "boolean"])
async def test_a_required_column_is_named_and_can_be_a_constant_or_null(
    odd: Supabase, connect: Connect, type_: str
) -> None:
    change(odd, f'alter table odd add column "Owner id" {type_} not null')
    finding = await check(connect)
    assert finding.code == "required_column"
    assert "Owner id" in (finding.problem or "")
    assert "constants.Owner id in [destinations.crm]" in (finding.hint or "")
    odd.execute((finding.hint or "").partition("SQL editor: ")[2])
    assert (await check(connect)).ok
    assert odd.rows("odd") == []


@pytest.mark.parametrize(
    "default", ["default 7", "generated always as identity", "generated always as (7) stored"]
)
async def test_a_required_column_that_the_database_fills_is_ok(
    odd: Supabase, connect: Connect, default: str
) -> None:
    change(odd, f"alter table odd add column owner integer not null {default}")
    assert (await check(connect)).ok
    assert types_of(await connect(table="odd").upsert([push(call())])) == [Delivered]


GENERATED = [
    ("id", "bigint generated always as identity primary key"),
    ("duration_seconds", "bigint generated always as (talking_seconds) stored"),
    ("notes", "text generated always as ('none') stored"),
    ("version", "bigint generated always as identity"),
]


@pytest.mark.parametrize(("column", "definition"), GENERATED)
async def test_a_generated_column_is_named_with_its_setting(
    odd: Supabase, connect: Connect, column: str, definition: str
) -> None:
    change(odd, f"alter table odd drop column {column}, add column {column} {definition}")
    finding = await check(connect)
    assert finding.code == "generated_column"
    assert column in (finding.problem or "")
    assert f'fields.{column} = "cloudtalk_{column}"' in (finding.hint or "")


SEQUENCES = [
    "alter table odd add column number serial",
    "alter table odd add column number bigserial",
    (
        "create sequence odd_numbers; alter table odd add column number text "
        "default nextval('odd_numbers')::text"
    ),
]


@pytest.mark.parametrize("sql", SEQUENCES)
async def test_a_missing_grant_on_a_sequence_is_named_and_both_sqls_grant_it(
    odd: Supabase, connect: Connect, sql: str
) -> None:
    odd.execute("drop sequence if exists odd_numbers")
    change(odd, sql)
    finding = await check(connect)
    assert finding.code == "missing_sequence_grant"
    grant = (finding.hint or "").partition("SQL editor: ")[2]
    sequence = grant.split()[4]
    for granting in (grant, connect(table="odd").setup_text()):
        odd.execute(f"revoke all on sequence {sequence} from service_role")
        odd.execute(granting)
        assert (await check(connect)).ok
    odd.execute("alter table odd drop column number")


@pytest.mark.parametrize("policies", [[], ["for select using (true)"], ["for insert with check (true)"]])
async def test_a_publishable_key_that_row_level_security_refuses_is_named(
    odd: Supabase, connect: Connect, policies: list[str]
) -> None:
    odd.execute("grant all on odd to anon; alter table odd enable row level security")
    for number, policy in enumerate(policies):
        odd.execute(f"create policy p{number} on odd {policy}")
    change(odd, "select 1")
    finding = await check(connect, key=odd.publishable_key)
    assert finding.code == "row_level_security"
    assert "role anon" in (finding.problem or "")
    assert "secret key (sb_secret_…)" in (finding.hint or "")
    assert "the setting key of [destinations.crm]" in (finding.hint or "")


async def test_a_secret_key_whose_role_is_limited_gets_a_policy(odd: Supabase, connect: Connect) -> None:
    change(odd, "alter table odd enable row level security; alter role service_role nobypassrls")
    try:
        finding = await check(connect)
        assert finding.code == "row_level_security"
        odd.execute((finding.hint or "").partition("SQL editor: ")[2])
        assert (await check(connect)).ok
    finally:
        odd.execute("alter role service_role bypassrls")


EACH_ROW = "before insert on odd for each row execute function"
REFUSING = [
    ("alter table odd add check (status in ('open', 'closed'))", "refused_call", "check"),
    ("alter table odd add check (duration_seconds < 0)", "refused_call", "check"),
    (f"create trigger t {EACH_ROW} odd_refuse()", "refused_call", "no calls"),
    (f"create trigger t {EACH_ROW} odd_discard()", "discarded_rows", "trigger"),
    (f"create trigger t {EACH_ROW} odd_first()", "discarded_rows", "trigger"),
]


@pytest.mark.parametrize(("sql", "code", "named"), REFUSING)
async def test_constraints_and_triggers_that_refuse_every_call_are_found_and_nothing_is_written(
    odd: Supabase, connect: Connect, sql: str, code: str, named: str
) -> None:
    change(
        odd,
        """
        create or replace function odd_refuse() returns trigger language plpgsql as
          $$begin raise exception 'no calls here'; end$$;
        create or replace function odd_discard() returns trigger language plpgsql as
          $$begin return null; end$$;
        create or replace function odd_first() returns trigger language plpgsql as
          $$begin if exists (select from odd where id = new.id) then return null; end if; return new; end$$;
        """
        + sql,
    )
    finding = await check(connect)
    assert (finding.ok, finding.code) == (False, code)
    assert named in (finding.problem or "")
    assert finding.hint
    assert odd.rows("odd") == []


async def test_check_writes_nothing_into_a_table_with_calls(odd: Supabase, connect: Connect) -> None:
    change(odd, "insert into odd (id, notes) values ('cloudtalk-1', 'typed')")
    before = odd.rows("odd")
    for on_merge in ("delete", "mark"):
        assert (await check(connect, on_merge=on_merge)).ok
    assert odd.rows("odd") == before


async def test_a_view_of_a_table_is_checked_like_the_table(odd: Supabase, connect: Connect) -> None:
    change(odd, "create view odd_view as select * from odd; grant all on odd_view to service_role")
    client = connect(table="odd_view")
    assert [finding.ok for finding in await client.check()] == [True]
    change(odd, "alter table odd add column owner text not null")
    [finding] = await client.check()
    assert (finding.code, odd.rows("odd")) == ("required_column", [])


KV = [
    ('"key" bigint primary key, "value" jsonb not null', "wrong_type", "key"),
    ('"key" varchar(12) primary key, "value" jsonb not null', "wrong_type", "key"),
    ('"key" text primary key, "value" text not null', "wrong_type", "value"),
    ('"key" text primary key, "value" jsonb not null, owner uuid not null', "required_column", "owner"),
    ('"key" text primary key, "value" jsonb generated always as (null) stored', "generated_column", "value"),
]


@pytest.mark.parametrize(("columns", "code", "named"), KV)
async def test_a_key_value_table_that_cannot_store_records_is_found(
    odd: Supabase, connect: Connect, columns: str, code: str, named: str
) -> None:
    change(odd, f"drop table odd; create table odd ({columns})")
    finding = await check(connect, layout="kv")
    assert finding.code == code
    assert named in (finding.problem or "")
    assert named in (finding.hint or "")
    assert "fields" not in (finding.hint or "")
    with pytest.raises(psycopg.errors.RaiseException, match=named):
        odd.execute(connect(table="odd", layout="kv").setup_text())


# --- the setup SQL ------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_", "named"), IDS)
def test_the_sql_refuses_an_id_column_of_another_type_and_changes_nothing(
    odd: Supabase, connect: Connect, type_: str, named: str
) -> None:
    odd.execute(f"drop table odd; create table odd (id {type_} primary key)")
    with pytest.raises(psycopg.errors.RaiseException, match=r'"?id"? is ') as refusal:
        odd.execute(connect(table="odd").setup_text())
    assert named in str(refusal.value)
    assert "cloudtalk_id" in (refusal.value.diag.message_hint or "")
    odd.execute("insert into odd default values" if "default" in type_ else "select 1")
    assert all(set(row) == {"id"} for row in odd.rows("odd"))


def test_the_sql_names_every_reason_at_once(odd: Supabase, connect: Connect) -> None:
    odd.execute("""
        drop table odd;
        create table odd (id text primary key, "Owner" uuid not null, team int not null, contact_name int,
          notes text generated always as ('x') stored, created_at timestamptz not null default now())
    """)
    with pytest.raises(psycopg.errors.RaiseException) as refusal:
        odd.execute(connect(table="odd").setup_text())
    assert all(name in str(refusal.value) for name in ('"Owner"', "team", "contact_name", "notes"))
    assert "created_at" not in str(refusal.value)


def test_the_sql_refuses_required_columns_that_some_calls_leave_null(odd: Supabase, connect: Connect) -> None:
    odd.execute("""
        alter table odd alter agent_id set not null, alter tags set not null, alter status set not null,
          alter transcript set not null, alter transcript set default ''
    """)
    client = connect(table="odd")
    with pytest.raises(psycopg.errors.RaiseException, match="not every call has a value") as refusal:
        odd.execute(client.setup_text())
    named = [name for name in ("agent_id", "tags", "status", "transcript") if name in str(refusal.value)]
    assert named == ["agent_id", "transcript"]
    odd.execute("alter table odd alter agent_id drop not null, alter transcript drop not null")
    odd.execute(client.setup_text())


def test_the_sql_accepts_required_columns_that_are_constants(odd: Supabase, connect: Connect) -> None:
    odd.execute("drop table odd; create table odd (id text primary key, origin text not null)")
    odd.execute(connect(table="odd", constants={"origin": "it's $relay$ {}"}).setup_text())
    assert "summary" in str(describe(odd))


def describe(project: Supabase) -> list[str]:
    project.execute("insert into odd (id, origin) values ('x', 'y')")
    [row] = project.rows("odd")
    return list(row)


def test_the_sql_refuses_a_view(odd: Supabase) -> None:
    odd.execute("create view odd_view as select * from odd")
    for sql in (table_sql("odd_view", "public"), kv_sql("odd_view", "public")):
        with pytest.raises(psycopg.errors.RaiseException, match="is a view"):
            odd.execute(sql)


@pytest.mark.parametrize(
    "columns",
    [
        "id varchar(64) primary key, tags text[], cloudtalk_data json, duration_seconds integer",
        "id text primary key, started_at timestamp, follow_up text, talking_seconds numeric, tags text",
    ],
)
async def test_the_sql_accepts_other_types_that_can_store_the_values(
    odd: Supabase, connect: Connect, columns: str
) -> None:
    change(odd, f"drop table odd; create table odd ({columns})")
    client = connect(table="odd")
    odd.execute(client.setup_text())
    odd.wait_for("odd", column="version")
    assert [finding.ok for finding in await client.check()] == [True]
    assert types_of(await client.upsert([push(call())])) == [Delivered]
