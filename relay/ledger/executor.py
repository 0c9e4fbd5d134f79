"""One thread that runs transactions, one after the other, each within a time limit."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from relay.ledger.connection import Connection, connect
from relay.ledger.engine import begin, explain, explain_denied_file, sqlstate
from relay.ledger.errors import MACHINE_FAULTS, LedgerTimeout, LedgerUnavailable
from relay.ledger.sqlite_files import SqliteFiles
from relay.standards.sqlite_errors import is_damage
from relay.standards.worker_thread import WorkerThread, WorkTimeout

T = TypeVar("T")

_FAULTS_OF_THE_STATEMENT: Final = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of the driver that concern the statement or its data. All others concern the database."""

_FAULTS_OF_THE_DATABASE: Final = ("28", "3D", "3F", "42")
"""Classes of SQLSTATE: a right, a database, a schema or a table is missing, whatever was to be written."""

_SERIALIZATION_FAILURES: Final = ("40001", "40P01")
_MAX_TRIES: Final = 3
_FINISH_SECONDS: Final = 2.0
"""How long a running transaction may take when the executor is closed."""


class _Run:
    """One transaction, and the driver's connection while it has one.

    `is_final`: it must not be tried again, because it was cancelled or may be committed.
    """

    def __init__(self, engine: Engine) -> None:
        self.is_final = False
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None

    def set_connection(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection

    def check_not_cancelled(self) -> None:
        """Raises `LedgerUnavailable` if it was cancelled before it had a connection."""
        if self.is_final:
            raise LedgerUnavailable("the ledger was too late to connect")

    def cancel(self) -> None:
        """Interrupt the connection: the database may never answer."""
        self.is_final = True
        with self._lock:
            if self._connection is None:
                return
            if self._engine.dialect.name == "postgresql":
                from relay.ledger.postgres import shut_down  # noqa: PLC0415 - see `open_engine`

                shut_down(self._connection)
            else:
                self._connection.interrupt()


class Executor:
    """Runs transactions on a thread of its own. `read_only`: they read one snapshot and block no writer.

    `files`: those of an SQLite database. A transaction fails if they are not those that were opened.
    `advice`: for the error of a transaction that exceeds the time limit, what to do next. `server_seconds`:
    after which a server ends a statement, as it does not see that its client has left; None: as usual.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        *,
        seconds: float,
        files: SqliteFiles | None,
        read_only: bool,
        advice: str = "",
        server_seconds: float | None = None,
    ) -> None:
        self._engine = engine
        self._read_only = read_only
        self._files = files
        self._thread = WorkerThread(name)
        self._seconds = seconds
        self._advice = advice
        self._server_seconds = server_seconds
        self._current = _Run(engine)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction. Raises `LedgerUnavailable`, also after the time limit."""
        run = _Run(self._engine)
        try:
            return await self.run_on_thread(lambda: self._try(work, run), seconds=self._seconds)
        except WorkTimeout:
            run.cancel()
            address = self._engine.url.render_as_string()
            problem = f"the ledger {address} did not answer within {self._seconds:g} s"
            raise LedgerTimeout(problem + self._advice) from None

    async def run_on_thread(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """Run `work` after all earlier work. Raises `LedgerUnavailable`, `WorkTimeout` after `seconds`."""
        try:
            return await self._thread.run(work, seconds=seconds)
        except DBAPIError as error:
            if _is_fault_of_the_statement(error):
                raise
            if self._files is not None and is_damage(error.orig):
                raise self._files.damaged(str(error.orig)) from error
            raise LedgerUnavailable(explain(error, self._engine.url)) from error
        except MACHINE_FAULTS as error:
            address = self._engine.url.render_as_string()
            reason = explain_denied_file(self._engine.url) or repr(error)
            raise LedgerUnavailable(f"the ledger {address} cannot be used: {reason}") from error

    def _try(self, work: Callable[[Connection], T], run: _Run) -> T:
        self._current = run
        for _ in range(_MAX_TRIES - 1):
            try:
                return self._run_transaction(work, run)
            except DBAPIError as error:
                if run.is_final or not _is_rolled_back(error):
                    raise
        return self._run_transaction(work, run)

    def _run_transaction(self, work: Callable[[Connection], T], run: _Run) -> T:
        self._check_files()
        with connect(self._engine) as connection:
            run.set_connection(connection.driver)
            try:
                run.check_not_cancelled()
                begin(connection, read_only=self._read_only, seconds=self._server_seconds)
                result = work(connection)
                run.is_final = True
                connection.commit()
            except BaseException:
                connection.roll_back()  # here, where it can be cancelled: the server may not answer
                raise
            finally:
                run.set_connection(None)
        if not self._read_only:
            self._check_files()  # what was committed to a removed file is lost
        return result

    def _check_files(self) -> None:
        if self._files is not None:
            self._files.check()

    async def close(self) -> None:
        """Finish the work that was started, and cancel what does not end in time."""
        closing = asyncio.create_task(asyncio.to_thread(self._thread.stop))
        await asyncio.wait([closing], timeout=_FINISH_SECONDS)
        while not closing.done():
            self._current.cancel()
            await asyncio.wait([closing], timeout=0.1)


def _is_fault_of_the_statement(error: DBAPIError) -> bool:
    return isinstance(error, _FAULTS_OF_THE_STATEMENT) and not sqlstate(error).startswith(
        _FAULTS_OF_THE_DATABASE
    )


def _is_rolled_back(error: DBAPIError) -> bool:
    """Whether nothing was written: the transaction conflicted with another one, or its connection was lost.

    A lost connection is common after a restart of the server: the first transaction on each old connection
    fails.
    """
    return sqlstate(error) in _SERIALIZATION_FAILURES or error.connection_invalidated
