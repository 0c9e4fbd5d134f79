"""Find out why a deletion or an update returned no row: there is none, or it must not be changed.

PostgreSQL skips a row that row level security hides, or that a trigger keeps, without an error. So a
status of success does not prove that the row is gone.
"""

from collections.abc import Collection, Mapping
from typing import Final

from crm_clients.base import Outcome, Rejected
from crm_clients.supabase.errors import ApiError, ApiFailure, Cause, cause_of
from crm_clients.supabase.rest import Row, Table

_CODE: Final = "row_not_changed"
_KEPT: Final = (
    "The table kept the row although no error was reported. A policy of row level security or a trigger "
    "protects it."
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


async def _find_hidden(table: Table, row: Row) -> ApiFailure | None:
    """Try to upsert a row that no read finds: the database refuses that if a policy hides such a row."""
    failure = await table.dry_run(row)
    if not isinstance(failure, ApiError):
        return failure
    if failure.code == _INSUFFICIENT_PRIVILEGE:
        return _rejected(_HIDDEN)
    return None if cause_of(failure) is Cause.RECORD else failure


def _rejected(message: str) -> Outcome:
    return Rejected(code=_CODE, message=message)
