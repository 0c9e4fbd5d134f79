"""What the client of a destination wants to know again after a restart."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select

from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import memory

_wanted = rows_of(memory.c.destination, memory.c.key)
_recall = (
    select(memory.c.key, memory.c.value)
    .join(_wanted, (_wanted.c.destination == memory.c.destination) & (_wanted.c.key == memory.c.key))
    .where(memory.c.kept_at >= bindparam("since"))
)
_drop = delete(memory).where(
    memory.c.destination == bindparam("of_destination"), memory.c.key.in_(select(_wanted.c.key))
)
_given = rows_of(memory.c.destination, memory.c.key, memory.c.value, memory.c.kept_at)
_keep = insert(memory).from_select(["destination", "key", "value", "kept_at"], select(_given))


def get_many(
    connection: Connection, destination: str, keys: Collection[str], *, since: int = 0
) -> dict[str, str]:
    """What is kept under these keys and not older than that."""
    rows = bound((destination, key) for key in sorted(set(keys)))
    found = connection.execute(_recall, rows | {"since": since})
    return dict(found.all())


def set_many(connection: Connection, destination: str, values: Mapping[str, str | None], *, now: int) -> None:
    """Keep these in the place of what was kept under their keys. None: keep nothing."""
    rows = bound((destination, key) for key in values)
    connection.execute(_drop, rows | {"of_destination": destination})
    kept = [(destination, key, value, now) for key, value in sorted(values.items()) if value is not None]
    if kept:
        connection.execute(_keep, bound(kept))
