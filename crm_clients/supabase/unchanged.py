"""Find out whether a deletion or a write that was not refused changed the row.

PostgreSQL skips a row that row level security hides, or that a trigger keeps, without an error. So a
status of success does not prove that the row is gone or has the new values.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from crm_clients.base import Outcome, Rejected
from crm_clients.supabase.errors import ApiError, ApiFailure, Cause, cause_of
from crm_clients.supabase.rest import Row, Table
from relay.standards.versions import parse_version

_CODE: Final = "row_not_changed"
_KEPT: Final = (
    "The table kept the row although no error was reported. A policy of row level security or a trigger "
    "protects it."
)
_ABSENT: Final = (
    "The table has no row of this call although no error was reported. A trigger discards it or moves it to "
    "another table."
)
_HIDDEN: Final = (
    "No row was found, and row level security hides rows from the role of the key. Use the project's secret "
    "key, or add policies for this role."
)
_INSUFFICIENT_PRIVILEGE: Final = "42501"


async def find_kept(table: Table, keys: Collection[str], **where: str) -> dict[str, ApiFailure]:
    """Return why these keys still have a row that matches `where`; the other keys are absent."""
    existing = await table.existing(keys, **where)
    if not isinstance(existing, set):
        return dict.fromkeys(keys, existing)
    return dict.fromkeys(existing, _rejected(_KEPT))


async def find_unchanged(table: Table, rows: Mapping[str, Row]) -> dict[str, ApiFailure]:
    """Return why these keys still have a row, which may be hidden; the other keys are absent.

    `rows`: key → a whole row with this key, as the relay would write it. Writes nothing.
    """
    failures = await find_kept(table, rows)
    for key in rows.keys() - failures.keys():
        failure = await _find_hidden(table, rows[key])
        failures |= {key: failure} if failure is not None else {}
    return failures


async def find_unwritten(
    table: Table, versions: Mapping[str, int], written: Sequence[Row]
) -> tuple[dict[str, ApiFailure], dict[str, int]]:
    """Return why these keys have no row of their version or a newer one, and the versions of newer rows.

    `written`: the rows that the API returned. A row that is absent there is read, since the trigger of the
    setup SQL keeps a newer row. Without a version column nothing is compared.
    """
    if table.version is None:
        return {}, {}
    skipped = versions.keys() - {row[table.key] for row in written}
    read = await table.select(sorted(skipped), table.identity)
    if not isinstance(read, list):
        return _find_older(table, versions, written) | dict.fromkeys(skipped, read), {}
    absent = skipped - {row[table.key] for row in read}
    failures = _find_older(table, versions, [*written, *read]) | dict.fromkeys(absent, _rejected(_ABSENT))
    stored = {row[table.key]: version_of(table, row) or 0 for row in read}
    return failures, {key: version for key, version in stored.items() if version > versions[key]}


def find_unwritten_value(
    written: Mapping[str, Any], before: Mapping[str, Any], stored: Mapping[str, Any]
) -> ApiFailure | None:
    """Return why one of these JSON values is not stored, by key; None if all are.

    `before`: the values that were read before the write. `stored`: what the API returned after it. A trigger
    may add keys to an object, so a value counts as kept only if no key that should change has changed.
    """
    if not written.keys() <= stored.keys():
        return _rejected(_ABSENT)
    kept = (key for key, value in written.items() if _is_kept(value, before.get(key), stored[key]))
    return _rejected(_KEPT) if any(kept) else None


def _is_kept(written: Mapping[str, Any], before: Any, stored: Any) -> bool:
    old, new = _items(before), _items(stored)
    return all(new.get(key) == old.get(key) for key, value in written.items() if value != old.get(key))


def _items(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def is_older(table: Table, row: Row, version: int) -> bool:
    """Whether a row has an older version, or an impossible one."""
    stored = version_of(table, row)
    return stored is not None and stored < version


def version_of(table: Table, row: Row) -> int | None:
    """Return the version of a row, 0 if it has none or an impossible one; None without a version column.

    A word is None too, since it cannot be compared: a trigger may make it of the number.
    """
    value = row[table.version] if table.version else None
    is_word = isinstance(value, str) and value != "" and not value.isdecimal()
    return None if table.version is None or is_word else parse_version(value)


def _find_older(table: Table, versions: Mapping[str, int], rows: Iterable[Row]) -> dict[str, ApiFailure]:
    keys = (row[table.key] for row in rows if is_older(table, row, versions[row[table.key]]))
    return dict.fromkeys(keys, _rejected(_KEPT))


async def _find_hidden(table: Table, row: Row) -> ApiFailure | None:
    """Try to upsert a row that no read finds: the database refuses that if a policy hides such a row."""
    failure = await table.dry_run_update(row)
    if not isinstance(failure, ApiError):
        return failure
    if failure.code == _INSUFFICIENT_PRIVILEGE:
        return _rejected(_HIDDEN)
    return None if cause_of(failure) is Cause.RECORD else failure


def _rejected(message: str) -> Outcome:
    return Rejected(code=_CODE, message=message)
