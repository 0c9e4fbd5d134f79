"""Find what prevents calls from being written to the table, with a hint for each problem. Writes nothing."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from crm_clients.base import Finding, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.supabase import refusals, trial
from crm_clients.supabase.denied import MISSING_GRANT, explain_denied
from crm_clients.supabase.errors import ApiError, ApiFailure, describe, to_outcome
from crm_clients.supabase.location import Location, grant_hint, problem_finding, run_setup
from crm_clients.supabase.refusals import WRONG_TYPE
from crm_clients.supabase.rest import Table
from crm_clients.supabase.sql import type_sql, unique_sql

_BY_ERROR_CODE: Final = {
    "PGRST106": "unknown_schema",
    "PGRST205": "unknown_table",
    "42P01": "unknown_table",
    "PGRST204": "missing_column",
    "42703": "missing_column",
    "42501": MISSING_GRANT,
    "42P10": "missing_key",
    "42883": WRONG_TYPE,
}
_BY_STATUS: Final = {402: "over_quota", 540: "project_paused"}
"""Supabase's own statuses; their bodies have no error code."""

_BY_OUTCOME: Final[dict[type[Outcome], str]] = {
    Unauthorised: "unauthorised",
    Throttled: "throttled",
    Retry: "unreachable",
    Unknown: "unreachable",
}
_OTHERWISE: Final = "unexpected_answer"
_DEFERRABLE: Final = "does not support deferrable unique constraints"
"""In PostgreSQL's message if an upsert cannot use the key; its code, 55000, has other causes too."""

CODES: Final = refusals.REFUSALS.union(
    trial.REFUSALS, _BY_ERROR_CODE.values(), _BY_STATUS.values(), _BY_OUTCOME.values(), [_OTHERWISE]
)
"""Every code that a finding can have."""


async def check_table(table: Table, location: Location) -> list[Finding]:
    """Return all problems, or one finding that is ok."""
    columns = location.columns + location.merge_columns
    is_json = {location.json_column: "cs.{}"} if location.json_column else {}
    select_failure = await table.probe_select(columns, **is_json)
    if select_failure is not None and _code(select_failure) == "missing_column":
        return await _find_missing_columns(table, location, select_failure, columns)
    if select_failure is not None and _code(select_failure) != MISSING_GRANT:
        return [_finding(location, select_failure)]
    failure = select_failure or await table.probe_upsert(location.columns)
    if failure is not None and _code(failure) == MISSING_GRANT:
        return [await _find_missing_grant(table, location, failure, may_select=select_failure is None)]
    found = await (
        trial.explain(table, location, failure) if failure else trial.find_refusals(table, location)
    )
    if not isinstance(found, list):
        return [_finding(location, _as_unknown_table(found))]
    if all(finding.ok for finding in found):
        found.append(await _check_delete(table, location))
    return found


def _as_unknown_table(failure: ApiFailure) -> ApiFailure:
    """PostgREST 12 responds with 404 and no code to a write into a table that its schema cache lacks, even
    if it can read the table.
    """
    if isinstance(failure, ApiError) and (failure.status, failure.code) == (HTTPStatus.NOT_FOUND, None):
        return msgspec.structs.replace(failure, code="PGRST205")
    return failure


async def _check_delete(table: Table, location: Location) -> Finding:
    failure = await table.probe_delete() if location.deletes else None
    if failure is None:
        return Finding(name=location.destination, ok=True)
    if _code(failure) != MISSING_GRANT:
        return _finding(location, failure)
    problem = (
        f"The role {location.role} lacks DELETE on the table {location.full_table}, so the records of merged "
        "calls cannot be deleted."
    )
    return problem_finding(location, MISSING_GRANT, problem, grant_hint(location))


async def _find_missing_columns(
    table: Table, location: Location, failure: ApiFailure, columns: Sequence[str]
) -> list[Finding]:
    """Probe each column by itself, because an error names only one."""
    missing = []
    for column in columns:
        column_failure = await table.probe_select([column])
        if column_failure is not None and _code(column_failure) == "missing_column":
            missing.append(column)
        elif column_failure is not None and _code(column_failure) != MISSING_GRANT:
            return [_finding(location, column_failure)]
    return [_missing_columns_finding(location, missing) if missing else _finding(location, failure)]


def _missing_columns_finding(location: Location, missing: Sequence[str]) -> Finding:
    names = ", ".join(missing)
    problem = (
        f"The table {location.full_table} lacks the {'columns' if len(missing) > 1 else 'column'} {names}."
    )
    return problem_finding(location, "missing_column", problem, _hint(location, "missing_column"))


async def _find_missing_grant(
    table: Table, location: Location, failure: ApiFailure, *, may_select: bool
) -> Finding:
    """Find out which grants the role lacks. UPDATE cannot be probed without INSERT."""
    if (denied := explain_denied(location, failure)) is not None:
        return denied
    may_insert = await table.probe_insert(location.columns) is None
    lacking = [grant for grant, granted in (("SELECT", may_select), ("INSERT", may_insert)) if not granted]
    grants = ", ".join(lacking or ["UPDATE"])
    message = failure.message if isinstance(failure, ApiError) else None
    problem = f"The role {location.role} lacks {grants} on the table {location.full_table} ({message})."
    return problem_finding(location, MISSING_GRANT, problem, grant_hint(location))


def _finding(location: Location, failure: ApiFailure) -> Finding:
    code = _code(failure)
    denied = explain_denied(location, failure) if code == MISSING_GRANT else None
    return denied or problem_finding(location, code, _problem(location, code, failure), _hint(location, code))


def _code(failure: ApiFailure) -> str:
    if isinstance(failure, Outcome):
        return _BY_OUTCOME.get(type(failure), _OTHERWISE)
    if _DEFERRABLE in (failure.message or ""):
        return "missing_key"
    known = _BY_ERROR_CODE.get(failure.code or "") or _BY_STATUS.get(failure.status)
    return known or _BY_OUTCOME.get(type(to_outcome(failure, rows=1)), _OTHERWISE)


# --- texts for a person -----------------------------------------------------------------------


def _problem(location: Location, code: str, failure: ApiFailure) -> str:
    if isinstance(failure, Outcome):
        return failure.message or f"{location.url} cannot be reached."
    if code == "unknown_table":
        return f"There is no table {location.full_table} in the API of {location.url}."
    if code == "unknown_schema":
        return f"The API of {location.url} does not expose the schema {location.schema}: {failure.message}."
    if code == WRONG_TYPE:
        return f"The column {location.json_column} of {location.full_table} is not jsonb: {failure.message}."
    if code == "missing_key":
        return (
            f"The column {location.key} of {location.full_table} is neither the primary key nor unique, "
            "or its constraint is deferrable, which an upsert cannot use."
        )
    return f"{describe(failure)}."


def _hint(location: Location, code: str) -> str:
    section = f"[destinations.{location.destination}]"
    hints = {
        "unauthorised": f"Copy the secret key (sb_secret_…) of this project from Supabase, Project Settings, "
        f"API Keys, into the setting key of {section}, and check that url is of the same project.",
        "unknown_table": f"If the name is right, create the table: {run_setup(location)} Otherwise correct "
        f"the setting table of {section}.",
        "unknown_schema": f"Add {location.schema} in Supabase under Project Settings, Data API, Exposed "
        f"schemas, or correct the setting schema of {section}.",
        "missing_column": f"{run_setup(location)} It adds what is missing and does not change your columns.",
        "missing_key": f"Remove rows with duplicate values in it, then run in Supabase's SQL editor: "
        f"{unique_sql(location.table, location.sql_schema, location.key)}",
        "unreachable": f"Check that the setting url of {section} is the project's (https://….supabase.co), "
        "that the project is neither paused nor deleted, and that this machine can reach it.",
        WRONG_TYPE: "Run in Supabase's SQL editor: "
        + type_sql(location.table, location.sql_schema, location.json_column or "", "jsonb"),
        MISSING_GRANT: f"Grant the role {location.role} in Supabase's SQL editor what the message names.",
        "throttled": f"Wait, or set a lower rate in {section}.",
        "over_quota": "Raise the plan or the spend cap in Supabase. Meanwhile no call is lost.",
        "project_paused": "Restore the project in Supabase's dashboard. Meanwhile no call is lost.",
    }
    otherwise = f"Set url of {section} to the project's own address (https://….supabase.co)."
    return hints.get(code, otherwise)


def format_findings(findings: Sequence[Finding]) -> list[str]:
    """Return one line per finding, for a person."""
    return [f"{f.name}: ready" if f.ok else f"{f.name}: {f.code}: {f.problem} {f.hint}" for f in findings]
