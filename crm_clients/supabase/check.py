"""What keeps calls from reaching the table, each finding with its remedy. Nothing is written."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec

from crm_clients.base import Finding, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.supabase.errors import ApiError, describe, outcome_of
from crm_clients.supabase.rest import ApiFailure, Table
from crm_clients.supabase.sql import grant_sql, unique_sql

_BY_CODE: Final = {
    "PGRST106": "unknown_schema",
    "PGRST205": "unknown_table",
    "42P01": "unknown_table",
    "PGRST204": "missing_column",
    "42703": "missing_column",
    "42501": "missing_grant",
    "42P10": "missing_key",
}
_BY_STATUS: Final = {402: "over_quota", 540: "project_paused"}
"""Supabase's own statuses; a body without a code comes with them."""

_BY_OUTCOME: Final[dict[type[Outcome], str]] = {
    Unauthorised: "unauthorised",
    Throttled: "throttled",
    Retry: "unreachable",
    Unknown: "unreachable",
}
_OTHERWISE: Final = "unexpected_answer"

CODES: Final = frozenset({*_BY_CODE.values(), *_BY_STATUS.values(), *_BY_OUTCOME.values(), _OTHERWISE})
"""Every code that a finding can bear."""


class Location(msgspec.Struct, frozen=True):
    """Where a destination's calls go, in words for a person. `schema` None is the first exposed one.

    `key`: the column that tells calls apart. `deletes`: whether a call that is part of another one goes.
    """

    name: str
    url: str
    table: str
    schema: str | None
    role: str
    key: str
    columns: tuple[str, ...]
    columns_of_marks: tuple[str, ...] = ()
    deletes: bool = True

    @property
    def full_table(self) -> str:
        """The table as a person would look for it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def sql_schema(self) -> str:
        """For SQL, where a name is needed: Supabase exposes `public` first."""
        return self.schema or "public"


async def findings(table: Table, place: Location) -> list[Finding]:
    """All that is wrong, or one finding that says that nothing is."""
    columns = place.columns + place.columns_of_marks
    unread = await table.may_select(columns)
    if unread is not None and _code(unread) == "missing_column":
        return await _missing_columns(table, place, unread, columns)
    if unread is not None and _code(unread) != "missing_grant":
        return [_finding(place, unread)]
    unwritten = await table.may_upsert(place.columns)
    denied = unread or unwritten
    if denied is None:
        return [await _may_take_back(table, place)]
    if _code(denied) == "missing_grant":
        return [await _missing_grant(table, place, denied, may_select=unread is None)]
    return [_finding(place, _unheard_of(denied))]


def _unheard_of(denied: ApiFailure) -> ApiFailure:
    """PostgREST 12 answers 404 and nothing else to a write into a table that it does not know (yet), also
    where it could read it.
    """
    if isinstance(denied, ApiError) and (denied.status, denied.code) == (HTTPStatus.NOT_FOUND, None):
        return msgspec.structs.replace(denied, code="PGRST205")
    return denied


async def _may_take_back(table: Table, place: Location) -> Finding:
    """A record whose call went into another one is deleted, unless the settings have it marked."""
    denied = await table.may_delete() if place.deletes else None
    if denied is None:
        return Finding(name=place.name, ok=True)
    if _code(denied) != "missing_grant":
        return _finding(place, denied)
    problem = f"The role {place.role} lacks DELETE on the table {place.full_table}: no doubled call could go."
    return _bad(place, "missing_grant", problem, _grant_hint(place))


async def _missing_columns(
    table: Table, place: Location, said: ApiFailure, columns: Sequence[str]
) -> list[Finding]:
    """The database names one column at a time, so each is asked for by itself."""
    missing = []
    for column in columns:
        trouble = await table.may_select([column])
        if trouble is not None and _code(trouble) == "missing_column":
            missing.append(column)
        elif trouble is not None and _code(trouble) != "missing_grant":
            return [_finding(place, trouble)]
    return [_finding(place, said) if not missing else _lacking(place, missing)]


def _lacking(place: Location, missing: Sequence[str]) -> Finding:
    plural = "columns" if len(missing) > 1 else "column"
    return _bad(
        place,
        "missing_column",
        f"The table {place.full_table} lacks the {plural} {', '.join(missing)}.",
        _hint(place, "missing_column"),
    )


async def _missing_grant(table: Table, place: Location, denied: ApiFailure, *, may_select: bool) -> Finding:
    """Which of the three rights the role lacks. UPDATE cannot be asked for without INSERT."""
    may_insert = await table.may_insert(place.columns) is None
    lacking = [word for word, has in (("SELECT", may_select), ("INSERT", may_insert)) if not has]
    rights = ", ".join(lacking or ["UPDATE"])
    said = denied.message if isinstance(denied, ApiError) else None
    return _bad(
        place,
        "missing_grant",
        f"The role {place.role} lacks {rights} on the table {place.full_table} ({said}).",
        _grant_hint(place),
    )


def _grant_hint(place: Location) -> str:
    if place.role in {"anon", "authenticated"}:
        return (
            f"The key belongs to the role {place.role}, which is for browsers. Put the project's secret key "
            f"(sb_secret_…) or legacy service_role key into the setting key of [destinations.{place.name}]."
        )
    sql = grant_sql(place.table, place.sql_schema, place.role)
    return f"Run in Supabase's SQL editor: {sql}"


def _finding(place: Location, trouble: ApiFailure) -> Finding:
    code = _code(trouble)
    return _bad(place, code, _problem(place, code, trouble), _hint(place, code))


def _bad(place: Location, code: str, problem: str, hint: str) -> Finding:
    return Finding(name=place.name, ok=False, code=code, problem=problem, hint=hint)


def _code(trouble: ApiFailure) -> str:
    """The contract's word for it."""
    if isinstance(trouble, Outcome):
        return _BY_OUTCOME.get(type(trouble), _OTHERWISE)
    known = _BY_CODE.get(trouble.code or "") or _BY_STATUS.get(trouble.status)
    return known or _BY_OUTCOME.get(type(outcome_of(trouble, rows=1)), _OTHERWISE)


def _problem(place: Location, code: str, trouble: ApiFailure) -> str:
    if isinstance(trouble, Outcome):
        return trouble.message or f"{place.url} cannot be reached."
    if code == "unknown_table":
        return f"There is no table {place.full_table} in the API of {place.url}."
    if code == "unknown_schema":
        return f"The API of {place.url} does not expose the schema {place.schema}: {trouble.message}."
    if code == "missing_key":
        return f"The column {place.key} of {place.full_table} is neither the primary key nor unique."
    return f"{describe(trouble)}."


def _hint(place: Location, code: str) -> str:
    setting = f"[destinations.{place.name}]"
    hints = {
        "unauthorised": f"Copy the secret key (sb_secret_…) of this project from Supabase, Project Settings, "
        f"API Keys, into the setting key of {setting}, and see that url is the same project's.",
        "unknown_table": f"If the name is right, create the table: {_run_setup(place)} Otherwise correct the "
        f"setting table of {setting}.",
        "unknown_schema": f"Add {place.schema} in Supabase under Project Settings, Data API, Exposed "
        f"schemas, or correct the setting schema of {setting}.",
        "missing_column": f"{_run_setup(place)} It adds what is missing and leaves your own columns alone.",
        "missing_key": f"Remove rows that repeat a value of it, then run in Supabase's SQL editor: "
        f"{unique_sql(place.table, place.sql_schema, place.key)}",
        "unreachable": f"See that the setting url of {setting} is the project's own (https://….supabase.co), "
        "that the project is neither paused nor deleted, and that this machine reaches it.",
        "throttled": f"Wait, or set a lower rate in {setting}.",
        "over_quota": "Raise the plan or the spend cap in Supabase; nothing is lost meanwhile.",
        "project_paused": "Restore the project in Supabase's dashboard; nothing is lost meanwhile.",
    }
    otherwise = f"Set url of {setting} to the project's own address (https://….supabase.co)."
    return hints.get(code, otherwise)


def _run_setup(place: Location) -> str:
    return f"Run the SQL of `relay setup {place.name} --print` in {sql_editor(place.url)}."


def sql_editor(url: str) -> str:
    """Where SQL is pasted: the address for a hosted project, words for any other."""
    host = urlsplit(url).hostname or ""
    project, _, rest = host.partition(".")
    if rest == "supabase.co":
        return f"Supabase's SQL editor (https://supabase.com/dashboard/project/{project}/sql/new)"
    return "Supabase's SQL editor"


def words(found: Sequence[Finding]) -> list[str]:
    """Findings as lines for a person."""
    return [f"{f.name}: ready" if f.ok else f"{f.name}: {f.code}: {f.problem} {f.hint}" for f in found]
