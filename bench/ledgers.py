"""The ledgers of the measured relays: an SQLite file, or a database of a real PostgreSQL."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bench.cpu import cpu_seconds
from bench.result import BenchError
from bench.server import scratch_folder
from relay.instants import duration
from relay.ledger import leases
from relay.ledger.clocks import wall_clock
from relay.ledger.engine import migrate, open_engine, transaction

_DELIVERY_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.02

# One statement reads one snapshot, and the fold writes an event and its delivery in one transaction. So
# there is no moment between the two in which nothing seems to be left.
_HAS_WORK_LEFT: Final = (
    "SELECT EXISTS (SELECT 1 FROM events WHERE state = 'new')"
    " OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND destination = 'crm')"
)
_LEASE_SECONDS: Final = 15.0
_LEASE_OWNER: Final = "bench/1/1"
"""A process of another host: relays do not check whether it still runs."""


class BenchLedger:
    """A ledger that relays use, as the benchmark reads it. `folder`: for the files of its relay."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.engine = open_engine(url)

    def scalar(self, query: str) -> Any:
        """Return the one value that a query finds."""
        with transaction(self.engine, read_only=True) as connection:
            return connection.execute(text(query)).scalar_one()

    def column(self, query: str) -> list[Any]:
        """Return the one column that a query finds."""
        with transaction(self.engine, read_only=True) as connection:
            return connection.execute(text(query)).scalars()

    def count_events(self) -> int:
        """Return the number of stored events."""
        return int(self.scalar("SELECT count(*) FROM events"))

    def has_work_left(self) -> bool:
        """Return whether an event is not folded, or a call not delivered to the destination `crm`."""
        return bool(self.scalar(_HAS_WORK_LEFT))

    def wait_until_delivered(self) -> float:
        """Wait until every event is folded and delivered. Returns the seconds; raises `BenchError`."""
        begin = time.perf_counter()
        while self.has_work_left():
            if time.perf_counter() > begin + _DELIVERY_SECONDS:
                raise BenchError(f"not everything was delivered within {_DELIVERY_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - begin

    @contextmanager
    def fold_held(self) -> Iterator[None]:
        """Hold the lease of the fold during the block, so that relays only accept events."""
        migrate(self.engine)
        self._acquire_fold()
        end = threading.Event()
        renewal = threading.Thread(target=self._renew_fold, args=(end,))
        renewal.start()
        try:
            yield
        finally:
            end.set()
            renewal.join()
            with transaction(self.engine) as connection:
                connection.execute(text("UPDATE leases SET expires_at = 0 WHERE name = 'fold'"))

    def _renew_fold(self, end: threading.Event) -> None:
        while not end.wait(_LEASE_SECONDS / 3):
            self._acquire_fold()

    def _acquire_fold(self) -> None:
        with transaction(self.engine) as connection:
            leases.acquire(
                connection,
                "fold",
                _LEASE_OWNER,
                now=wall_clock(),
                length=duration(_LEASE_SECONDS),
                force=True,
            )


class LedgerEngine(Protocol):
    """A kind of database for ledgers."""

    name: str

    def ledger(self) -> AbstractContextManager[BenchLedger]:
        """Create an empty ledger for the duration of the block."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of the processes of the database itself."""


@contextmanager
def sqlite_ledger() -> Iterator[BenchLedger]:
    """Create an empty ledger in a file of the scratch folder."""
    with scratch_folder() as folder:
        ledger = BenchLedger(folder, f"sqlite:///{(folder / 'relay.db').absolute()}")
        yield ledger
        ledger.engine.dispose()


class SqliteEngine:
    """Ledgers in files of the scratch folder."""

    name = "SQLite"

    @contextmanager
    def ledger(self) -> Iterator[BenchLedger]:
        with sqlite_ledger() as ledger:
            yield ledger

    def cpu_seconds(self) -> float:
        """Return 0: SQLite runs in the processes of the relay."""
        return 0.0


class PostgresEngine:
    """Ledgers in databases of their own. `dsn`: the server's URL for a superuser. `pid`: its main process."""

    name = "PostgreSQL"

    def __init__(self, dsn: str, pid: int) -> None:
        self._dsn, self._pid = dsn, pid
        self._made = itertools.count(1)

    @contextmanager
    def ledger(self) -> Iterator[BenchLedger]:
        name = f"bench_{next(self._made)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        url = make_url(self._dsn).set(database=name).render_as_string(hide_password=False)
        with scratch_folder() as folder:
            ledger = BenchLedger(folder, url)
            yield ledger
            ledger.engine.dispose()
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._pid)

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(sql.encode())
