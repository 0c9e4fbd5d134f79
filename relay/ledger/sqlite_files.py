"""The files of an open SQLite database: whether they are still those that this process opened, and intact.

SQLite keeps writing to a file that was removed or replaced, or whose WAL was removed. Nobody finds again what
it writes there. SQLite also reports no damage before it reads the damaged page.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock, Timer
from typing import Final

from relay.ledger.errors import LedgerDamaged, LedgerUnusable
from relay.standards.sqlite_errors import is_damage

_Identity = tuple[int, int]
"""Device and inode of a file."""

_SUFFIXES: Final = ("", "-wal", "-shm")
_INSTRUCTIONS_PER_LOOK: Final = 1_000
"""Instructions of SQLite's virtual machine between two looks at the clock."""

_SMALLEST_PAGE: Final = 512
_CHECK_SHRUNK_SECONDS: Final = 2.0


class CheckTimeout(Exception):
    """The database is too large to be checked in the given time. Until then no damage was found."""


class SqliteFiles:
    """The database at this path, its WAL and its shared memory, from the first connection on.

    Used by several threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._connections = 0
        self._opened: list[_Identity | None] = [None] * len(_SUFFIXES)
        self._size = 0
        self._damage: str | None = None

    def before_connect(self) -> None:
        """Connect to no other file than the first time, and create none. Raises `LedgerUnusable`."""
        if self._opened[0] is not None:
            self.check()

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self._connections += 1

    def disconnected(self) -> None:
        """Forget the WAL with the last connection, which removes it."""
        with self._lock:
            self._connections -= 1
            if not self._connections:
                self._opened[1:] = [None, None]

    def check(self) -> None:
        """Raise `LedgerUnusable` if a file is not the one that was opened, or if the database is damaged."""
        if self._damage is not None:
            raise LedgerDamaged(self._damage)
        # Without a connection the WAL belongs to other processes, which may remove it.
        for index, suffix in enumerate(_SUFFIXES if self._connections else _SUFFIXES[:1]):
            status = _status(f"{self.path}{suffix}")
            found = None if status is None else (status.st_dev, status.st_ino)
            opened = self._opened[index]
            if opened is None:
                self._opened[index] = found
            elif found != opened:
                raise LedgerUnusable(self._explain(suffix, is_missing=found is None))
            if index == 0 and status is not None:
                self._check_size(status.st_size)

    def _check_size(self, size: int) -> None:
        """A database shrinks only by a vacuum; else it was truncated or overwritten."""
        if size < min(self._size, _SMALLEST_PAGE):
            # SQLite deletes the WAL of an empty database, but this one may still help a person.
            raise self.damaged(f"truncated to {size} bytes")
        if size < self._size:
            self.check_content(_CHECK_SHRUNK_SECONDS)
        self._size = size

    def check_content(self, seconds: float) -> bool:
        """Run SQLite's quick check; return whether it came to its end within this time.

        Raises `LedgerDamaged`.
        """
        try:
            damage = find_damage(self.path, seconds)
        except CheckTimeout:
            return False
        if damage is not None:
            raise self.damaged(damage)
        return True

    def damaged(self, reason: str) -> LedgerDamaged:
        """Refuse all further use, and return the error that says so."""
        self._damage = (
            f"the ledger {self.path} is damaged ({reason}); stop the relay and put a backup in its place:"
            " `relay ledger restore BACKUP`, which keeps the damaged file"
        )
        return LedgerDamaged(self._damage)

    def _explain(self, suffix: str, *, is_missing: bool) -> str:
        what = "removed" if is_missing else "replaced"
        problem = f"the file {self.path}{suffix} of the ledger was {what} while the relay runs"
        if suffix:
            return f"{problem}; restart the relay, which writes the content of the WAL to the ledger first"
        return (
            f"{problem}; put the original file back, or restart the relay to use what is at this path then"
            " (`relay ledger restore BACKUP` while it is stopped)"
        )


def find_damage(path: Path, seconds: float) -> str | None:
    """Run `PRAGMA quick_check`; return the first problem, or None. Raises `CheckTimeout`, `sqlite3.Error`.

    It has a connection of its own: the cache of another one may hold pages that are damaged on the disk.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection), _time_limit(connection, seconds):
        try:
            if missing := _count_missing_pages(connection, path):
                return f"{missing} pages are missing at its end"
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise CheckTimeout from error
            raise
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return str(error)
            raise
    return None if result == "ok" else str(result)


def _count_missing_pages(connection: sqlite3.Connection, path: Path) -> int:
    """Return how many pages at least are neither in the file nor in its WAL. The quick check does not look at
    the content of every page.
    """
    pages, page_size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size")
    )
    # The WAL first: what a checkpoint moves meanwhile is counted twice, and not missed.
    wal = _status(f"{path}-wal")
    in_wal = 0 if wal is None else wal.st_size // page_size
    return max(pages - in_wal - path.stat().st_size // page_size, 0)


@contextmanager
def _time_limit(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt the statements of the block after this time."""
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() >= deadline, _INSTRUCTIONS_PER_LOOK)
    # One instruction may check a whole table.
    timer = Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - called several times in each transaction
    except (FileNotFoundError, NotADirectoryError):
        return None
