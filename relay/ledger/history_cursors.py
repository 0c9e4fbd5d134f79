"""How far each import of history that is not finished has come. A cursor belongs to its range of time."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.tables import history_cursors as table


class HistoryCursor(msgspec.Struct, frozen=True):
    """An import of the calls that started at or after `since` and before `until`.

    `is_open`: whether `until` was the moment of the command, because it named none. `progress`: what is
    left, in the importer's own form. `updated_at`: when it was written; 0 in one that is about to be.
    """

    since: Instant
    until: Instant
    is_open: bool
    progress: str
    updated_at: Instant = Instant(0)


_columns = tuple(table.c[name] for name in HistoryCursor.__struct_fields__)
_new = insert(table).values({column.name: bindparam(column.name) for column in _columns})
_save = _new.on_conflict_do_update(
    index_elements=["since", "until"],
    set_={"progress": _new.excluded.progress, "updated_at": _new.excluded.updated_at},
)
_is_of_range = and_(table.c.since == bindparam("of_since"), table.c.until == bindparam("of_until"))
_by_range = select(*_columns).where(_is_of_range)
_newest_open = (
    select(*_columns)
    .where(table.c.since == bindparam("of_since"), table.c.is_open)
    .order_by(table.c.until.desc())
    .limit(1)
)
_all = select(*_columns).order_by(table.c.updated_at.desc())
_delete = delete(table).where(_is_of_range)
_delete_old = delete(table).where(table.c.updated_at < bindparam("before"))


def find(connection: Connection, since: Instant, until: Instant | None) -> HistoryCursor | None:
    """Return the cursor of this range. Without `until`: the newest one whose command named no end."""
    if until is None:
        found = connection.execute(_newest_open, {"of_since": since}).one_or_none()
    else:
        found = connection.execute(_by_range, {"of_since": since, "of_until": until}).one_or_none()
    if found is None:
        return None
    return _cursor(found)


def list_all(connection: Connection) -> list[HistoryCursor]:
    """Return the imports that are not finished, the one that read a page last first."""
    return [_cursor(row) for row in connection.execute(_all)]


def _cursor(row: Sequence[Any]) -> HistoryCursor:
    since, until, is_open, progress, updated_at = row
    return HistoryCursor(since, until, bool(is_open), progress, updated_at)


def save(connection: Connection, cursor: HistoryCursor, *, now: Instant) -> None:
    """Write the cursor of its range."""
    connection.execute(_save, msgspec.structs.asdict(cursor) | {"updated_at": now})


def remove(connection: Connection, since: Instant, until: Instant) -> None:
    """Delete the cursor of an import that is finished."""
    connection.execute(_delete, {"of_since": since, "of_until": until})


def delete_old(connection: Connection, *, before: Instant) -> None:
    """Delete the cursors of imports that nobody continued since then."""
    connection.execute(_delete_old, {"before": before})
