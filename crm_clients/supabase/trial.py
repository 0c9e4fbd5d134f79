"""Try sample calls of every kind against the table, and explain which kinds it refuses. Writes nothing."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Finding
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.location import Location, SampleRows, problem_finding
from crm_clients.supabase.refusals import (
    REFERENCE,
    REFUSED,
    REQUIRED,
    WRONG_TYPE,
    explain_refusal,
    quoted_name,
    refusal_code,
    warn_of_narrow_columns,
)
from crm_clients.supabase.rest import Row, Table
from crm_clients.supabase.sql import enum_sql, nullable_sql

NOT_NULLABLE: Final = "not_nullable"
REFUSED_STATUS: Final = "refused_status"
REFUSED_DIRECTION: Final = "refused_direction"
REFUSALS: Final = frozenset({NOT_NULLABLE, REFUSED_STATUS, REFUSED_DIRECTION})
"""Every code of this module."""

_INTERNAL: Final = "internal"
_ENUM: Final = "invalid input value for enum "


class RefusedKind(msgspec.Struct, frozen=True):
    """A kind of call that the table refuses, and why."""

    sample: SampleRows
    error: ApiError


async def find_refusals(table: Table, location: Location) -> list[Finding] | ApiFailure:
    """Return what prevents calls from being written. A finding that is ok is a warning.

    All samples are one request. Only if it fails is each kind of call tried by itself.
    """
    samples = [row for sample in location.samples for row in sample.rows]
    failure = await table.dry_run([*samples, *location.long])
    found = [] if failure is None else await _explain_samples(table, location, failure)
    if not isinstance(found, list) or not all(finding.ok for finding in found):
        return found
    again = await explain(table, location, await _write_again(table, location))
    return [*found, *again] if isinstance(again, list) else again


async def _explain_samples(
    table: Table, location: Location, failure: ApiFailure
) -> list[Finding] | ApiFailure:
    """Explain why the request with all samples failed."""
    full_failure = await table.dry_run(location.full)
    full = await explain(table, location, full_failure)
    if not isinstance(full, list) or not all(finding.ok for finding in full):
        return full
    each = await _try_each(table, location)
    if not isinstance(each, list) or not all(finding.ok for finding in each):
        return each
    narrow = await warn_of_narrow_columns(table, location)
    if not isinstance(narrow, list):
        return narrow
    return [*full, *each, *narrow] or await explain(table, location, failure)


async def explain(table: Table, location: Location, failure: ApiFailure | None) -> list[Finding] | ApiFailure:
    """Explain a failure as far as it is the refusal of a call; return any other failure."""
    if failure is None:
        return []
    finding = await explain_refusal(table, location, failure)
    return failure if finding is None else [finding]


async def _write_again(table: Table, location: Location) -> ApiFailure | None:
    """Try to write a row that exists. A policy or a trigger for updates concerns only such rows."""
    where = {"select": ",".join(table.identity), table.key: f"like.{location.key_prefix}*", "limit": "1"}
    found = await table.query(where)
    if not isinstance(found, list) or not found:
        return await table.dry_run_twice(location.full)
    return await table.dry_run_update(location.full[0] | _newer(table, found[0]))


def _newer(table: Table, row: Row) -> Row:
    """Return the key and the next version, since the trigger of the setup SQL discards older versions."""
    version = str(row.get(table.version or "") or 0)
    next_version = {table.version: int(version) + 1} if table.version and version.isdecimal() else {}
    return {table.key: row[table.key], **next_version}


# --- kinds of calls ---------------------------------------------------------------------------


async def _try_each(table: Table, location: Location) -> list[Finding] | ApiFailure:
    """Try each kind of call by itself. A column that must not be null gets a value in the next trials."""
    filled: dict[str, tuple[Any, Any]] = {}
    refused: list[RefusedKind] = []
    others: list[Finding] = []
    for sample in location.samples:
        failure = await _try_filled(table, location, sample, filled)
        if isinstance(failure, ApiError) and _concerns_kind(sample, failure):
            refused.append(RefusedKind(sample, failure))
        elif refusal_code(failure) != REFERENCE:
            found = await explain(table, location, failure)
            if not isinstance(found, list):
                return found
            others += found
    by_direction = [each for each in refused if each.sample.direction]
    by_status = [each for each in refused if each.sample.status]
    return [
        *([_not_nullable(location, list(filled))] if filled else []),
        *([_refused_direction(location, by_direction)] if by_direction else []),
        *([_refused_status(location, by_status)] if by_status else []),
        *dict.fromkeys(others),
    ]


def _concerns_kind(sample: SampleRows, failure: ApiError) -> bool:
    """Whether the failure may come from the status or the direction of the sample."""
    is_kind = sample.status is not None or sample.direction is not None
    return is_kind and refusal_code(failure) in {REFUSED, WRONG_TYPE}


async def _try_filled(
    table: Table, location: Location, sample: SampleRows, filled: dict[str, tuple[Any, Any]]
) -> ApiFailure | None:
    """Try a sample. Each column that must not be null, and is null only here, is added to `filled`."""
    while True:
        rows = [
            {
                name: filled[name][n] if value is None and name in filled else value
                for name, value in row.items()
            }
            for n, row in enumerate(sample.rows)
        ]
        failure = await table.dry_run(rows)
        column = quoted_name(failure) if isinstance(failure, ApiError) else ""
        if refusal_code(failure) != REQUIRED or column in filled or rows[0].get(column, "") is not None:
            return failure
        filled[column] = (location.full[0][column], location.full[1][column])


# --- texts for a person -----------------------------------------------------------------------


def _not_nullable(location: Location, columns: Sequence[str]) -> Finding:
    problem = (
        f"These columns of {location.full_table} must not be null, and not every call has a value for them: "
        f"{', '.join(columns)}."
    )
    sql = " ".join(nullable_sql(location.table, location.sql_schema, column) for column in columns)
    settings = [location.settings[column] for column in columns if column in location.settings]
    hint = f"Run in Supabase's SQL editor: {sql}{_or_other_columns(location, settings)}"
    return problem_finding(location, NOT_NULLABLE, problem, hint)


def _refused_status(location: Location, refused: Sequence[RefusedKind]) -> Finding:
    kinds = ", ".join(f'"{each.sample.label}" ({each.sample.status})' for each in refused)
    problem = f"The table {location.full_table} refuses calls with the status {kinds}: {_messages(refused)}."
    labels = " and ".join(f"labels.{each.sample.status}" for each in refused)
    hint = (
        f"{_allow(refused)} Or set {labels} in [destinations.{location.destination}] to texts that the "
        f"column accepts.{_or_other_columns(location, ('fields.status', 'fields.state'))}"
    )
    return problem_finding(location, REFUSED_STATUS, problem, hint)


def _refused_direction(location: Location, refused: Sequence[RefusedKind]) -> Finding:
    """A refused internal call is a warning: the relay delivers them only with `forward_internal`."""
    directions = [each.sample.direction for each in refused]
    kinds = ", ".join(f'"{direction}"' for direction in directions)
    problem = (
        f"The table {location.full_table} refuses calls with the direction {kinds}: {_messages(refused)}."
    )
    only_internal = directions == [_INTERNAL]
    when = "This matters only if cloudtalk.forward_internal is true. " if only_internal else ""
    hint = f"{when}{_allow(refused)}{_or_other_columns(location, ('fields.direction',))}"
    return msgspec.structs.replace(
        problem_finding(location, REFUSED_DIRECTION, problem, hint), ok=only_internal
    )


def _allow(refused: Sequence[RefusedKind]) -> str:
    """Return SQL that adds the missing values of an enum, or name the constraint or trigger to change."""
    messages = [each.error.message or "" for each in refused]
    if not all(message.startswith(_ENUM) for message in messages):
        return "Change the constraint or the trigger that the message names, so that it accepts them."
    sql = dict.fromkeys(enum_sql(*_enum_and_value(message)) for message in messages)
    return f"Run in Supabase's SQL editor: {' '.join(sql)}"


def _enum_and_value(message: str) -> tuple[str, str]:
    """Split the message `invalid input value for enum mood: "sad"`."""
    enum, _, value = message.removeprefix(_ENUM).partition(": ")
    return enum, value.strip('"')


def _messages(refused: Iterable[RefusedKind]) -> str:
    return "; ".join(dict.fromkeys(each.error.message or "no explanation was given" for each in refused))


def _or_other_columns(location: Location, settings: Iterable[str]) -> str:
    """Say which settings name other columns. In the layout `kv` there are none."""
    named = [setting for setting in settings if setting in location.settings.values()]
    section = f"[destinations.{location.destination}]"
    return f' Or set {" and ".join(named)} in {section} to another column, or to "".' if named else ""
