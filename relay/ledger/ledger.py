"""The ledger of one process: one database, a thread that writes and two threads that read.

All writes of a process use one connection on one thread, in the order of the calls. So the commits of a
process never wait for each other's locks, and the event loop never waits for the database. What people read
has a thread of its own and a short time limit: a search among a million calls must delay neither the fold nor
a delivery.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from relay.instants import Instant
from relay.ledger.clocks import DatabaseClock, wall_clock
from relay.ledger.connection import Connection
from relay.ledger.engine import empty_wal, migrate, open_engine, vacuum
from relay.ledger.executor import Executor
from relay.ledger.process_identity import owner_name
from relay.ledger.sqlite import BUSY_SECONDS, free_caches, watch_files

T = TypeVar("T")

_WRITE_SECONDS: Final = 6.0
"""Longer than a database waits for a lock: its own error says what it waited for."""

_READ_SECONDS: Final = 30.0
_VIEW_SECONDS: Final = 8.0
_VIEW_ADVICE: Final = (
    "; try again, and limit a search, for example to a day or by a second word. If other pages are slow too, "
    "run `relay check`"
)


class Ledger:
    """Opened once in a process. `write` and `read` run a function of a connection in a transaction.

    A transaction that the database rolled back because of another one, or whose connection was lost, runs
    again: so `work` may be called twice.
    """

    def __init__(self, url: str, *, clock: Callable[[], Instant] | None = None) -> None:
        self.url = url
        self._engine = open_engine(url)
        self._files = files = watch_files(self._engine)
        self._writer = Executor(
            "ledger-writer", self._engine, seconds=_WRITE_SECONDS, files=files, read_only=False
        )
        self._reader = Executor(
            "ledger-reader", self._engine, seconds=_READ_SECONDS, files=files, read_only=True
        )
        self._viewer = Executor(
            "ledger-viewer",
            self._engine,
            seconds=_VIEW_SECONDS,
            files=files,
            read_only=True,
            advice=_VIEW_ADVICE,
            server_seconds=_VIEW_SECONDS + 1,
        )
        self._database_clock = DatabaseClock() if self._engine.dialect.name == "postgresql" else None
        self.now: Callable[[], Instant] = clock or self._database_clock or wall_clock
        self.owner = owner_name(many_hosts=self._database_clock is not None)
        self.writes = 0
        """The number of transactions that this process wrote."""

    @property
    def path(self) -> str | None:
        """The file of SQLite; None on PostgreSQL."""
        return self._engine.url.database if self._engine.dialect.name == "sqlite" else None

    @property
    def writes_see_one_snapshot(self) -> bool:
        """Whether nothing that other processes commit is seen within a writing transaction: SQLite has one
        writer at a time.
        """
        return self._database_clock is None

    async def open(self) -> tuple[str | None, str]:
        """Migrate the schema and return its version before (None: no schema) and after.

        Raises `LedgerError`.
        """
        versions = await self._writer.run_on_thread(lambda: migrate(self._engine))
        await self.write(lambda _: None)
        return versions

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; when this returns, it is on disk. Raises `LedgerUnavailable`."""
        result = await self._writer.run(lambda connection: self._with_clock(connection, work))
        self.writes += 1
        return result

    def _with_clock(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        if self._database_clock is not None:
            self._database_clock.sync(connection)
        return work(connection)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot of the database. Raises `LedgerUnavailable`."""
        return await self._reader.run(work)

    async def view(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot for a person, on a thread of its own. The fold and deliveries do not wait
        for it, but other views do, one after the other. What must not wait for a search uses `read`.

        Raises `LedgerTimeout` after 8 seconds, in which the views before it count too; `LedgerUnavailable`.
        """
        return await self._viewer.run(work)

    async def check_content(self, seconds: float) -> bool:
        """Look for damage in an SQLite file, for at most this time; return whether all of it was read.

        Raises `LedgerDamaged`.
        """
        files = self._files
        if files is None:
            return True
        return await self._reader.run_on_thread(
            lambda: not files.path.exists() or files.check_content(seconds)
        )

    async def check_files(self) -> None:
        """Check that the files of SQLite are those that were opened. Raises `LedgerUnusable`."""
        if self._files is not None:
            await self._reader.run_on_thread(self._files.check)

    async def empty_wal(self, *, seconds: float = BUSY_SECONDS) -> bool:
        """Write the content of SQLite's WAL to the database that is open, also if it was renamed. Wait for
        readers for at most `seconds`. Return whether the WAL is empty; True on PostgreSQL.
        """
        if self.path is None:
            return True
        return await self._writer.run_on_thread(lambda: empty_wal(self._engine, seconds=seconds))

    async def vacuum(self) -> None:
        """Rewrite the database without the space of removed rows. Raises `LedgerUnavailable`."""
        await self._writer.run_on_thread(lambda: vacuum(self._engine))

    async def free_caches(self) -> None:
        """Free the memory of SQLite's caches; the next transactions read their pages again.

        Raises `LedgerUnavailable`.
        """
        if self.path is not None:
            await self._reader.run_on_thread(lambda: free_caches(self._engine))

    async def close(self) -> None:
        """Finish the transactions that were started and close the database."""
        await asyncio.gather(self._writer.close(), self._reader.close(), self._viewer.close())
        self._engine.dispose()
