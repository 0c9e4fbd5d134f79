"""Values that the client of a destination keeps over a restart, such as the contact of a phone number."""

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, delete, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import client_state as table

_columns = (table.c.destination, table.c.key, table.c.value, table.c.updated_at)
_new = rows_of(*_columns)
_insert = insert(table).from_select([column.name for column in _columns], select(_new))
_keys = rows_of(table.c.destination, table.c.key)
_get = (
    select(table.c.key, table.c.value)
    .join(_keys, (_keys.c.destination == table.c.destination) & (_keys.c.key == table.c.key))
    .where(table.c.updated_at >= bindparam("since"))
)
_delete = delete(table).where(
    table.c.destination == bindparam("of_destination"), table.c.key.in_(select(_keys.c.key))
)


def get_many(
    connection: Connection, destination: str, keys: Collection[str], *, since: Instant = Instant(0)
) -> dict[str, str]:
    """Return the values of these keys that were set at `since` or later; others are absent."""
    rows = bound((destination, key) for key in sorted(set(keys)))
    found = connection.execute(_get, rows | {"since": since})
    return dict(found.all())


def set_many(
    connection: Connection, destination: str, values: Mapping[str, str | None], *, now: Instant
) -> None:
    """Set the values of these keys. None removes a key."""
    rows = bound((destination, key) for key in values)
    connection.execute(_delete, rows | {"of_destination": destination})
    new = [(destination, key, value, now) for key, value in sorted(values.items()) if value is not None]
    if new:
        connection.execute(_insert, bound(new))
