"""What people did to destinations, deliveries and the quarantine: a row for each action."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import actions

BY_COMMAND: Final = "cli"
"""`who` of an action on the command line."""


class ActionRow(msgspec.Struct, frozen=True):
    """An action of a person.

    `who`: `BY_COMMAND`, or the session of the console. `action`: as `destination.pause`. `call`: None if it
    concerns every call of the destination. `entry`: of the quarantine, or the reason of many.
    """

    at: Instant
    who: str
    action: str
    destination: str | None
    call: str | None
    entry: str | None = None


_columns = tuple(actions.c[name] for name in ActionRow.__struct_fields__)
_new = rows_of(*_columns)
_add = insert(actions).from_select([column.name for column in _columns], select(_new))


def add(connection: Connection, new: Iterable[ActionRow]) -> None:
    """Insert these actions."""
    connection.execute(_add, bound(map(msgspec.structs.astuple, new)))


_calls = rows_of(actions.c.call)
_by_call = select(*_columns).join(_calls, _calls.c.call == actions.c.call).order_by(actions.c.seq)
_names = rows_of(actions.c.destination)
_by_destination = (
    select(*_columns)
    .join(_names, _names.c.destination == actions.c.destination)
    .where(actions.c.call.is_(None), actions.c.at >= bindparam("since"))
    .order_by(actions.c.seq)
)


def list_for_calls(
    connection: Connection, ids: Collection[str], names: Sequence[str], *, since: Instant
) -> list[ActionRow]:
    """Return the actions on these calls, and those on these destinations from `since` on."""
    of_calls = connection.execute(_by_call, bound((id_,) for id_ in sorted(ids))).all()
    parameters = bound((name,) for name in sorted(names)) | {"since": since}
    of_destinations = connection.execute(_by_destination, parameters).all()
    return [ActionRow(*row) for row in (*of_calls, *of_destinations)]


_of_quarantine = (
    select(*_columns)
    .where(actions.c.entry.is_not(None))
    .order_by(actions.c.seq.desc())
    .limit(bindparam("limit"))
)


def list_of_quarantine(connection: Connection, limit: int) -> list[ActionRow]:
    """Return the newest actions on the quarantine, the newest first."""
    return [ActionRow(*row) for row in connection.execute(_of_quarantine, {"limit": limit})]


_oldest = select(actions.c.seq, actions.c.at).order_by(actions.c.seq).limit(bindparam("limit"))
_delete = delete(actions).where(actions.c.seq <= bindparam("last"))


def delete_old(connection: Connection, *, before: Instant, limit: int) -> bool:
    """Delete up to `limit` actions before an instant, the oldest first. Return whether there may be more."""
    oldest = connection.execute(_oldest, {"limit": limit}).all()
    old = [seq for seq, at in oldest if at < before]
    if old:
        connection.execute(_delete, {"last": old[-1]})
    return len(old) == limit
