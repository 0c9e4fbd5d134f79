"""The pushes of each call: a row for each, written in the transaction that settles the push."""

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import attempts


class AttemptRow(msgspec.Struct, frozen=True):
    """A push of one call to one destination.

    `at`: when its result was written. `action`: what was sent, see `Action`. `outcome`, `code` and `message`:
    the answer of the CRM. `duration_ms`: of the whole push, which may have had other calls.
    """

    destination: str
    call: str
    at: Instant
    version: int
    action: str
    outcome: str
    code: str | None
    message: str | None
    duration_ms: int


_columns = tuple(attempts.c[name] for name in AttemptRow.__struct_fields__)
_new = rows_of(*_columns)
_add = insert(attempts).from_select([column.name for column in _columns], select(_new))


def add(connection: Connection, new: Sequence[AttemptRow]) -> None:
    """Insert these attempts."""
    if new:
        connection.execute(_add, bound(map(msgspec.structs.astuple, new)))


_calls = rows_of(attempts.c.call)
_by_call = select(*_columns).join(_calls, _calls.c.call == attempts.c.call).order_by(attempts.c.seq)


def list_for_calls(connection: Connection, ids: Collection[str]) -> list[AttemptRow]:
    """Return the attempts of these calls, oldest first."""
    found = connection.execute(_by_call, bound((id_,) for id_ in sorted(ids)))
    return [AttemptRow(*row) for row in found]


_oldest = select(attempts.c.seq, attempts.c.at).order_by(attempts.c.seq).limit(bindparam("limit"))
_delete = delete(attempts).where(attempts.c.seq <= bindparam("last"))


def delete_old(connection: Connection, *, before: Instant, limit: int) -> bool:
    """Delete up to `limit` attempts before an instant, the oldest first. Return whether there may be more."""
    oldest = connection.execute(_oldest, {"limit": limit}).all()
    old = [seq for seq, at in oldest if at < before]
    if old:
        connection.execute(_delete, {"last": old[-1]})
    return len(old) == limit
