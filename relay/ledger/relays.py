"""The relays that run: each has a row that it renews every few seconds.

Only the process that folds and delivers writes it, so several processes of one relay are one row. A reader
leaves out rows that are too old, and those of processes of its host that have ended.
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant, duration
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerError
from relay.ledger.ledger import Ledger
from relay.ledger.process_identity import is_gone, owner_name
from relay.ledger.tables import relays

_INTERVAL_SECONDS: Final = 10.0
_LONGEST_SILENCE: Final = duration(35)
"""A row that was not renewed for so long is of a relay that has ended: a busy ledger delays a renewal."""

_REMOVE_SECONDS: Final = 1.0
"""A database that hangs must not delay a stop."""


class RelayRow(msgspec.Struct, frozen=True):
    """A relay. `pid`: of its first process. `last_seen_at`: when it renewed its row."""

    owner: str
    host: str
    pid: int
    started_at: Instant
    last_seen_at: Instant


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


class Heartbeat:
    """Renews the row of this relay until it is cancelled. `pid`: of its first process, the supervisor's if it
    has several.
    """

    def __init__(self, ledger: Ledger, pid: int, *, interval_seconds: float = _INTERVAL_SECONDS) -> None:
        self._ledger = ledger
        self._pid = pid
        self._owner = owner_name(many_hosts=ledger.path is None, pid=pid)
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Write the row now and again and again; delete it at the end."""
        started_at = self._ledger.now()
        host = self._owner.partition("/")[0].partition("@")[0]
        try:
            while True:
                row = RelayRow(self._owner, host, self._pid, started_at, self._ledger.now())
                # What fails shows in `/readyz`, and the row becomes old.
                with suppress(LedgerError):
                    await self._ledger.write(partial(renew, row=row))
                await asyncio.sleep(self._interval_seconds)
        finally:
            with suppress(LedgerError, TimeoutError):
                async with asyncio.timeout(_REMOVE_SECONDS):
                    await self._ledger.write(lambda connection: remove(connection, self._owner))
