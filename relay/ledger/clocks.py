"""The clock of the ledger, which all processes that share a ledger use.

On SQLite it is the clock of the machine. On PostgreSQL it is the clock of the database: machines differ by
seconds, and would disagree on what is due and which lease is over.
"""

import time
from typing import Final

from sqlalchemy import text

from relay.instants import Duration, Instant, duration
from relay.ledger.connection import Connection

_SYNC_SECONDS: Final = 30.0
_now = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


def wall_clock() -> Instant:
    return Instant(time.time_ns() // 1_000)


class DatabaseClock:
    """The clock of the database, computed from this machine's monotonic clock since the last `sync`.

    Before the first `sync` it is the clock of this machine.
    """

    def __init__(self) -> None:
        self._offset: Duration | None = None
        self._synced_at = 0.0

    def __call__(self) -> Instant:
        return wall_clock() if self._offset is None else Instant(self._offset + _monotonic())

    def sync(self, connection: Connection) -> None:
        """Read the time of the database, unless that was done in the last half minute."""
        if self._offset is not None and time.monotonic() - self._synced_at < _SYNC_SECONDS:
            return
        before = _monotonic()
        now: int = connection.execute(_now).scalar_one()
        # The database read its clock about in the middle of the round trip.
        self._offset = Duration(now - (before + _monotonic()) // 2)
        self._synced_at = time.monotonic()


def _monotonic() -> Duration:
    return duration(time.monotonic())
