"""Explain why the database would refuse calls, although table, columns and grants exist."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from crm_clients.base import Finding
from crm_clients.supabase.errors import ROW_SECURITY, ApiError, ApiFailure, Cause, cause_of
from crm_clients.supabase.location import Location, problem_finding, run_setup, secret_key_hint
from crm_clients.supabase.rest import NOT_ONE_ROW, Table
from crm_clients.supabase.sql import nullable_sql, policy_sql, sequence_grant_sql, type_sql
from crm_clients.supabase.too_long import TOO_LONG

WRONG_TYPE: Final = "wrong_type"
GENERATED: Final = "generated_column"
REQUIRED: Final = "required_column"
SEQUENCE: Final = "missing_sequence_grant"
DISCARDED: Final = "discarded_rows"
REFUSED: Final = "refused_call"
REFERENCE: Final = "missing_reference"
NARROW: Final = "narrow_column"
REFUSALS: Final = frozenset(
    {WRONG_TYPE, GENERATED, REQUIRED, SEQUENCE, ROW_SECURITY, DISCARDED, REFUSED, REFERENCE, NARROW}
)
"""Every code of this module."""

_BY_ERROR_CODE: Final = {
    "428C9": GENERATED,
    "23502": REQUIRED,
    "23503": REFERENCE,
    NOT_ONE_ROW: DISCARDED,
}
_BY_MESSAGE: Final = {"permission denied for sequence": SEQUENCE, "row-level security policy": ROW_SECURITY}
"""PostgreSQL has one code, 42501, for all missing privileges."""

_INSUFFICIENT_PRIVILEGE: Final = "42501"
_DATA_EXCEPTION: Final = "22"
_QUOTED: Final = re.compile(r'"([^"]+)"')


async def explain_refusal(table: Table, location: Location, failure: ApiFailure) -> Finding | None:
    """Explain the failure of a dry run of `location.full`. None: the failure is of another kind."""
    code = refusal_code(failure)
    if code is None or not isinstance(failure, ApiError):
        return None
    if code == WRONG_TYPE and (columns := await _find_columns(table, location, WRONG_TYPE)):
        return _wrong_types(location, columns)
    if code == GENERATED and (columns := await _find_columns(table, location, GENERATED)):
        return _generated(location, columns)
    if code in {WRONG_TYPE, GENERATED}:
        code = REFUSED
    finding = problem_finding(
        location, code, _problem(location, code, failure), _hint(location, code, failure)
    )
    return msgspec.structs.replace(finding, ok=code == REFERENCE)


def refusal_code(failure: ApiFailure | None) -> str | None:
    """Return the code of the finding for a failure; None if it is not the refusal of a call."""
    if not isinstance(failure, ApiError):
        return None
    code = failure.code or ""
    if code == _INSUFFICIENT_PRIVILEGE:
        message = failure.message or ""
        return next((found for text, found in _BY_MESSAGE.items() if text in message), None)
    if code in _BY_ERROR_CODE:
        return _BY_ERROR_CODE[code]
    if code.startswith(_DATA_EXCEPTION):
        return WRONG_TYPE
    return REFUSED if cause_of(failure) is Cause.RECORD else None


async def _find_columns(table: Table, location: Location, code: str) -> dict[str, ApiError]:
    """Try each column of the sample by itself, and return the error of each that fails.

    If the key column fails, the others cannot be tried.
    """
    found: dict[str, ApiError] = {}
    for column in sorted(location.full[0], key=lambda column: column != location.key):
        rows = [{name: row[name] for name in (location.key, column)} for row in location.full]
        failure = await table.dry_run(rows)
        if isinstance(failure, ApiError) and refusal_code(failure) == code:
            found[column] = failure
        if location.key in found:
            break
    return found


async def warn_of_narrow_columns(table: Table, location: Location) -> list[Finding] | ApiFailure:
    """Return a warning if the table stores ordinary calls, but not calls with long values."""
    failure = await table.dry_run(location.long)
    code = refusal_code(failure)
    if code == REFERENCE:
        return []
    if not isinstance(failure, ApiError) or code is None:
        return failure or []
    errors: dict[str, ApiError] = {}
    for column in location.long[0]:
        rows = [
            full | {column: long[column]} for full, long in zip(location.full, location.long, strict=True)
        ]
        error = await table.dry_run(rows) if rows[0] != location.full[0] else None
        if isinstance(error, ApiError) and refusal_code(error) == code:
            errors[column] = error
    return [_narrow(location, errors, failure)]


# --- texts for a person -----------------------------------------------------------------------


def _wrong_types(location: Location, errors: Mapping[str, ApiError]) -> Finding:
    problem = (
        f"Columns of the table {location.full_table} cannot store the values of a call: {_list(errors)}."
    )
    hints = [_other_columns_hint(location, errors), _widen_hint(location, errors)]
    return problem_finding(location, WRONG_TYPE, problem, " Or: ".join(filter(None, hints)))


def _generated(location: Location, errors: Mapping[str, ApiError]) -> Finding:
    problem = (
        f"The database generates values of the table {location.full_table} that the relay has to write: "
        f"{', '.join(errors)}."
    )
    return problem_finding(location, GENERATED, problem, _other_columns_hint(location, errors))


def _narrow(location: Location, errors: Mapping[str, ApiError], failure: ApiError) -> Finding:
    reason = _list(errors) or failure.message
    problem = (
        f"The table {location.full_table} refuses some long values, and calls that have them become dead "
        f"letters: {reason}."
    )
    others = "Change the constraint or the trigger that the message names."
    hint = _widen_hint(location, errors) or others
    return msgspec.structs.replace(problem_finding(location, NARROW, problem, hint), ok=True)


def _list(errors: Mapping[str, ApiError]) -> str:
    return "; ".join(f"{column} ({error.message})" for column, error in errors.items())


def _widen_hint(location: Location, errors: Mapping[str, ApiError]) -> str:
    """Return SQL that removes the limits of texts; in the layout `kv` other SQL is suggested."""
    narrow = [column for column, error in errors.items() if error.code == TOO_LONG]
    sql = [type_sql(location.table, location.sql_schema, column, "text") for column in narrow]
    return f"Run in Supabase's SQL editor: {' '.join(sql)}" if sql and location.settings else ""


def _other_columns_hint(location: Location, columns: Iterable[str]) -> str:
    """Suggest other columns in the settings, or another type for a column that no setting names."""
    constants = [s for c in columns if (s := location.settings.get(c, "")).startswith("constants.")]
    fields = [
        f'{setting} = "cloudtalk_{column}"'
        for column in columns
        if (setting := location.settings.get(column, "")).startswith("fields.")
    ]
    types = [
        type_sql(location.table, location.sql_schema, column, "jsonb" if column == "value" else "text")
        for column in columns
        if column not in location.settings
    ]
    section = f"[destinations.{location.destination}]"
    hints = [
        f"Set {' and '.join(fields)} in {section}. {run_setup(location)} It adds the columns."
        if fields
        else "",
        f"Correct {' and '.join(constants)} in {section}." if constants else "",
        f"Run in Supabase's SQL editor: {' '.join(types)}" if types else "",
    ]
    return " ".join(filter(None, hints))


def _problem(location: Location, code: str, failure: ApiError) -> str:
    table, message = location.full_table, failure.message or "no explanation was given"
    problems = {
        REQUIRED: f"The column {quoted_name(failure)} of {table} must not be null, and nothing fills it.",
        SEQUENCE: f"The role {location.role} cannot use a sequence of {table} ({message}).",
        ROW_SECURITY: f"Row level security of {table} refuses calls of the role {location.role} ({message}).",
        DISCARDED: f"A trigger of {table} discards rows, so calls would disappear without an error.",
        REFERENCE: f"Calls in {table} need rows of another table, which the relay does not write: {message}.",
        REFUSED: f"The table {table} refuses a sample of a call: {message}.",
    }
    return problems[code]


def _hint(location: Location, code: str, failure: ApiError) -> str:
    section = f"[destinations.{location.destination}]"
    schema = location.sql_schema
    nullable = nullable_sql(location.table, schema, quoted_name(failure))
    constant = f"Set constants.{quoted_name(failure)} in {section} to its value, or allow null. "
    sequence = (failure.message or "").rpartition(" ")[2]
    policy = policy_sql(location.table, schema, location.role)
    hints = {
        REQUIRED: f"{constant if location.settings else ''}Run in Supabase's SQL editor: {nullable}",
        SEQUENCE: f"Run in Supabase's SQL editor: {sequence_grant_sql(sequence, schema, location.role)}",
        ROW_SECURITY: secret_key_hint(location) or f"Run in Supabase's SQL editor: {policy}",
        REFERENCE: "Drop the constraint that the message names, or keep the other table complete. Calls "
        "without such a row become dead letters. "
        + (f'A field that is "" under fields in {section} is not written.' if location.settings else ""),
        DISCARDED: "Change the trigger in Supabase under Database, Triggers, so that it returns the row.",
        REFUSED: "Such calls become dead letters. Change the constraint or the trigger that the message "
        f"names, or choose other labels, fields or constants in {section}.",
    }
    return hints[code]


def quoted_name(failure: ApiError) -> str:
    """Return the first name in the message, which is a column's."""
    match = _QUOTED.search(failure.message or "")
    return match.group(1) if match else "?"
