"""One thread that works on the database, one piece of work after the other."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from relay.ledger.engine import explain
from relay.ledger.errors import LedgerUnavailable

T = TypeVar("T")

_FAULTS_OF_THE_WORK: Final = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""What was asked is wrong. Whatever else a driver says, it says of the database."""

_OF_THE_DATABASE: Final = ("28", "3D", "3F", "42")
"""Classes of SQLSTATE: a right, a table or a database is missing, whatever event was to be written."""

_MET_ANOTHER: Final = ("40001", "40P01")
_TRIES: Final = 3
_FINISH_SECONDS: Final = 2.0
"""How long what is under way may take when the ledger is closed."""


class _Underway:
    """A piece of work, and the driver's connection while it has one. `is_final`: it is not to be run again,
    since it was cut, or may be committed.
    """

    def __init__(self, engine: Engine) -> None:
        self.is_final = False
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None

    def on(self, connection: Any) -> None:
        """The work is on this connection now; None: on none any more."""
        with self._lock:
            self._connection = connection

    def cut(self) -> None:
        """End it: the database may never answer."""
        self.is_final = True
        with self._lock:
            if self._connection is None:
                return
            if self._engine.dialect.name == "postgresql":
                from relay.ledger.postgres import cut  # noqa: PLC0415 - see open_engine

                cut(self._connection)
            else:
                self._connection.interrupt()


class Executor:
    """Transactions of one kind, each within a time: `options` are those of its connections."""

    def __init__(self, name: str, engine: Engine, *, seconds: float, **options: Any) -> None:
        self._engine = engine.execution_options(**options)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._seconds = seconds
        self._underway = _Underway(engine)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run this in a transaction of its own. Raises `LedgerUnavailable`, also where it takes too long."""
        underway = _Underway(self._engine)
        try:
            async with asyncio.timeout(self._seconds) as within:
                return await self.on_thread(lambda: self._work(work, underway))
        except TimeoutError:
            if not within.expired():
                raise
            underway.cut()
            address = self._engine.url.render_as_string()
            raise LedgerUnavailable(
                f"the ledger {address} did not answer within {self._seconds:g} s"
            ) from None

    async def on_thread(self, work: Callable[[], T]) -> T:
        """Run this in its turn, however long it takes. Raises `LedgerUnavailable`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except DBAPIError as error:
            if _is_fault_of_the_work(error):
                raise
            raise LedgerUnavailable(explain(error, self._engine.url)) from error

    def _work(self, work: Callable[[Connection], T], underway: _Underway) -> T:
        self._underway = underway
        for _ in range(_TRIES - 1):
            try:
                return self._transaction(work, underway)
            except DBAPIError as error:
                if underway.is_final or not _is_undone(error):
                    raise
        return self._transaction(work, underway)

    def _transaction(self, work: Callable[[Connection], T], underway: _Underway) -> T:
        with self._engine.connect() as connection:
            underway.on(connection.connection.driver_connection)
            try:
                if underway.is_final:  # cut while there was no connection yet: nobody waits for it any more
                    raise LedgerUnavailable("the ledger was too late to connect")
                with connection.begin():
                    done = work(connection)
                    underway.is_final = True
                return done
            finally:
                underway.on(None)

    async def close(self) -> None:
        """Finish what was asked for; what the database does not answer is cut."""
        closing = asyncio.create_task(asyncio.to_thread(self._threads.shutdown))
        await asyncio.wait([closing], timeout=_FINISH_SECONDS)
        while not closing.done():
            self._underway.cut()
            await asyncio.wait([closing], timeout=0.1)


def _is_fault_of_the_work(error: DBAPIError) -> bool:
    return isinstance(error, _FAULTS_OF_THE_WORK) and not _sqlstate(error).startswith(_OF_THE_DATABASE)


def _is_undone(error: DBAPIError) -> bool:
    """The database undid it because it met another transaction, or the connection was lost: after a
    restart of the server, say, the first to use an old one finds out.
    """
    return _sqlstate(error) in _MET_ANOTHER or error.connection_invalidated


def _sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code of the error; empty where there is none."""
    return getattr(error.orig, "sqlstate", None) or ""
