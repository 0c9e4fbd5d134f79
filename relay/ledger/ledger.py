"""The durable memory: one database, one thread that writes, one that reads.

All writes of a process go through one connection on one thread, in the order in which they were
asked for: so commits are never contended within a process, and the event loop never waits.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, literal_column, update

from relay.instants import Instant
from relay.ledger.clocks import DatabaseClock, wall_clock
from relay.ledger.engine import migrate, open_engine, reading_options
from relay.ledger.executor import Executor
from relay.ledger.process_identity import owner_name
from relay.ledger.tables import warnings

T = TypeVar("T")

_WRITE_SECONDS: Final = 6.0
"""Longer than a database waits for a lock: it says better what it waited for."""

_READ_SECONDS: Final = 30.0
_WRITE_NOTHING: Final = update(warnings).where(literal_column("1") == literal_column("0")).values(message="")


class Ledger:
    """Opened once a process; `write` and `read` take a function of a connection.

    What the database undid because another transaction met it, or a connection was lost, is run again:
    `work` may be called twice.
    """

    def __init__(self, url: str, *, clock: Callable[[], Instant] | None = None) -> None:
        self.url = url
        self._engine = open_engine(url)
        self._writer = Executor("ledger-writer", self._engine, seconds=_WRITE_SECONDS)
        self._reader = Executor(
            "ledger-reader", self._engine, seconds=_READ_SECONDS, **reading_options(self._engine)
        )
        self._database_clock = DatabaseClock() if self._engine.dialect.name == "postgresql" else None
        self.now: Callable[[], Instant] = clock or self._database_clock or wall_clock
        self.owner = owner_name(many_hosts=self._database_clock is not None)
        self.writes = 0
        """How many transactions this process wrote."""

    @property
    def path(self) -> str | None:
        """SQLite's file; None where a server keeps the ledger."""
        return self._engine.url.database if self._engine.dialect.name == "sqlite" else None

    async def open(self) -> tuple[str | None, str]:
        """Bring the schema up to date; the versions before and after. Raises `LedgerError`."""
        versions = await self._writer.on_thread(lambda: migrate(self._engine))
        await self.write(lambda _: None)
        return versions

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run this in a transaction of its own; once it returns, it is on disk."""
        done = await self._writer.run(lambda connection: self._timed(connection, work))
        self.writes += 1
        return done

    def _timed(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        if self._database_clock is not None:
            self._database_clock.ask(connection)
        return work(connection)

    async def check_writable(self) -> None:
        """Make sure that it can be written. Raises `LedgerUnavailable`."""
        await self.write(lambda connection: connection.execute(_WRITE_NOTHING))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run this on a snapshot."""
        return await self._reader.run(work)

    async def close(self) -> None:
        """Finish what was asked for and let go of the database."""
        await asyncio.gather(self._writer.close(), self._reader.close())
        self._engine.dispose()
