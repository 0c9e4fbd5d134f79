"""The durable memory: one database, one thread that writes, one that reads.

All writes of a process go through one connection on one thread, in the order in which they were
asked for: so commits are never contended within a process, and the event loop never waits.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from relay.ledger.engine import LedgerError, explain, migrate, open_engine
from relay.ledger.owners import owner_name

T = TypeVar("T")

_FAULTS_OF_THE_WORK: Final = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""What was asked is wrong. Whatever else a driver says, it says of the database."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written just now: locked, full, broken, gone. Worth trying again."""


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class Ledger:
    """Opened once a process; `write` and `read` take a function of a connection."""

    def __init__(self, url: str, *, clock: Callable[[], int] = wall_clock) -> None:
        self._engine = open_engine(url)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="ledger-reader")
        self.now = clock
        self.owner = owner_name()

    async def open(self) -> tuple[str | None, str]:
        """Bring the schema up to date; the versions before and after. Raises `LedgerError`."""
        return await self._run(self._writer, lambda: migrate(self._engine))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run this in a transaction of its own; once it returns, it is on disk."""
        return await self._run(self._writer, lambda: self._write(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run this on a snapshot."""
        return await self._run(self._reader, lambda: self._read(work))

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect().execution_options(read_only=True) as connection:
            return work(connection)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except _FAULTS_OF_THE_WORK:
            raise
        except DBAPIError as error:
            raise LedgerUnavailable(explain(error, self._engine.url)) from error

    async def close(self) -> None:
        """Finish what was asked for and let go of the files."""
        for threads in (self._writer, self._reader):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()
