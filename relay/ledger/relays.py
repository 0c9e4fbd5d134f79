"""The relays that run: each has a row that it renews every few seconds.

Only the process that folds and delivers writes it, so several processes of one relay are one row. A reader
leaves out rows that are too old, and those of processes of its host that have ended.
"""

from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant, duration
from relay.ledger.connection import Connection
from relay.ledger.process_identity import is_gone
from relay.ledger.tables import relays

_LONGEST_SILENCE: Final = duration(35)
"""A row that was not renewed for so long is of a relay that has ended: a busy ledger delays a renewal."""


class RelayRow(msgspec.Struct, frozen=True):
    """A relay. `pid`: of its first process. `last_seen_at`: when it renewed its row. `schema_version`: the
    newest schema that it knows.
    """

    owner: str
    host: str
    pid: int
    started_at: Instant
    last_seen_at: Instant
    schema_version: str


_columns = tuple(relays.c[name] for name in RelayRow.__struct_fields__)
_new = insert(relays).values({column.name: bindparam(column.name) for column in _columns})
_renew = _new.on_conflict_do_update(
    index_elements=["owner"], set_={"last_seen_at": _new.excluded.last_seen_at}
)
_remove = delete(relays).where(relays.c.owner == bindparam("of_owner"))
_remove_old = delete(relays).where(relays.c.last_seen_at < bindparam("before"))
_running = select(*_columns).where(relays.c.last_seen_at >= bindparam("since")).order_by(relays.c.started_at)


def renew(connection: Connection, row: RelayRow) -> None:
    """Write the row of a relay that runs, and delete the rows of those that have ended."""
    connection.execute(_renew, msgspec.structs.asdict(row))
    connection.execute(_remove_old, {"before": row.last_seen_at - _LONGEST_SILENCE})


def remove(connection: Connection, owner: str) -> None:
    """Delete the row of a relay that stops."""
    connection.execute(_remove, {"of_owner": owner})


def list_running(connection: Connection, *, now: Instant) -> list[RelayRow]:
    """Return the relays that run, the oldest first."""
    found = connection.execute(_running, {"since": now - _LONGEST_SILENCE})
    return [row for row in (RelayRow(*values) for values in found) if not is_gone(row.owner)]
