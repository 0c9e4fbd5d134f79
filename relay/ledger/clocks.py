"""The ledger's clock: what all processes that share a ledger agree on.

On one machine that is the machine's. Machines differ by seconds, and so do their ideas of what is due
and whose lease is over: on PostgreSQL the database's clock counts.
"""

import time
from typing import Final

from sqlalchemy import Connection, text

from relay.instants import Instant

_SECOND: Final = 1_000_000
_EVERY_SECONDS: Final = 30.0
_NOW: Final = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


def wall_clock() -> Instant:
    return Instant(time.time_ns() // 1_000)


class DatabaseClock:
    """The database's clock, asked now and then; between, this machine's seconds are counted.

    Before it was first asked it is this machine's.
    """

    def __init__(self) -> None:
        self._ahead: int | None = None
        self._asked_at = 0.0

    def __call__(self) -> Instant:
        return wall_clock() if self._ahead is None else Instant(self._ahead + _counted())

    def ask(self, connection: Connection) -> None:
        """Set it by the database's, unless that was done within the last half minute."""
        if self._ahead is not None and time.monotonic() - self._asked_at < _EVERY_SECONDS:
            return
        before = _counted()
        now: int = connection.execute(_NOW).scalar_one()
        # The answer was on its way back for about half of the time.
        self._ahead = now - (before + _counted()) // 2
        self._asked_at = time.monotonic()


def _counted() -> int:
    return int(time.monotonic() * _SECOND)
