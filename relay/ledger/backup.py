"""Backup and restore of an SQLite ledger, while relays use other ledgers or this one.

A restored ledger is older than the CRMs. So a restore begins a new epoch (`epochs`), above that of the file
that it replaces.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from relay.instants import Instant
from relay.ledger import epochs, leases
from relay.ledger.engine import migrate, open_engine, transaction
from relay.ledger.errors import LedgerError
from relay.ledger.generation_file import GenerationFile
from relay.standards.file_access import explain_denied
from relay.standards.private_files import create_private_file, create_private_folder

_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_PAGES: Final = 2_000
"""Copied at once: writers have a turn between two portions."""

_LOCK_BYTES: Final = (0x40000002, 510)
"""SQLite: the range of the lock that each open connection in WAL mode shares."""


def back_up(ledger: Path, target: Path) -> None:
    """Write a consistent copy of a ledger, also while a relay uses it. Raises `LedgerError`.

    An existing target is replaced once the copy is complete.
    """
    _require_access(ledger)
    _require_access(target)
    if target.exists() and target.samefile(ledger):
        raise LedgerError(f"{target} is the ledger itself; name another file")
    with _temporary_file(target) as copy:
        _copy_live(ledger, copy)
        _verify(copy, ledger)
        copy.replace(target)


def restore(ledger: Path, source: Path, *, now: Instant) -> Path | None:
    """Replace a ledger by a backup and begin a new epoch. Raises `LedgerError`, and then changes nothing.

    Return where the replaced ledger is kept; None if there was none.
    """
    _require_access(ledger)
    _require_access(source, writes=False)
    if (pid := process_that_uses(ledger)) is not None:
        raise LedgerError(f"process {pid} uses {ledger}; stop the relay first")
    if not source.is_file():
        raise LedgerError(f"there is no backup {source}")
    with _temporary_file(ledger) as copy:
        _copy_file(source, copy)
        _verify(copy, source)
        _begin_epoch(copy, ledger, now=now)
        kept = _move_away(ledger)
        copy.replace(ledger)
        GenerationFile(ledger).remove()
        return kept


def begin_epoch(url: str, *, now: Instant, at_least: int = 0) -> int:
    """Migrate a ledger that was restored by other means, free its leases and begin a new epoch."""
    engine = open_engine(url)
    try:
        migrate(engine)
        with transaction(engine) as connection:
            leases.free_all(connection)
            return epochs.begin(connection, now=now, at_least=at_least)
    finally:
        engine.dispose()


def process_that_uses(ledger: Path) -> int | None:
    """Return a process that has this SQLite file open in WAL mode; None without one."""
    import fcntl  # noqa: PLC0415 - not available on Windows
    import struct  # noqa: PLC0415

    layout = "hhqqi4x"
    start, length = _LOCK_BYTES
    wanted = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        with ledger.open("rb+") as file:
            kind, *_, pid = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, wanted))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def _require_access(file: Path, *, writes: bool = True) -> None:
    if (denied := explain_denied(file, writes=writes)) is not None:
        raise LedgerError(f"{file} cannot be used: {denied}")


def _copy_live(ledger: Path, copy: Path) -> None:
    if not ledger.exists():
        raise LedgerError(f"there is no ledger {ledger}")
    try:
        with closing(sqlite3.connect(ledger)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new, pages=_PAGES, sleep=0.01)
    except sqlite3.Error as error:
        raise LedgerError(f"{ledger} cannot be copied: {error}") from error


def _copy_file(source: Path, copy: Path) -> None:
    """Copy a file that nobody uses, with a WAL beside it: SQLite would write to the backup to read it."""
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(source.with_name(source.name + suffix), copy.with_name(copy.name + suffix))


def _verify(copy: Path, source: Path) -> None:
    """Make sure that the copy is a ledger without damage, and make it one file."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise LedgerError(f"{source} cannot be read: {error}") from error
    if result != "ok":
        raise LedgerError(f"{source} is damaged: {result}")
    if "alembic_version" not in tables:
        raise LedgerError(f"{source} is no ledger of a relay")


def _begin_epoch(copy: Path, replaced: Path, *, now: Instant) -> None:
    """Begin an epoch in the copy above that of the ledger that it replaces, if this can be read."""
    generation = GenerationFile(replaced)
    at_least = max(_epoch_of(replaced), generation.read().epoch) + 1
    begin_epoch(f"sqlite:///{copy}", now=now, at_least=at_least)
    with closing(sqlite3.connect(copy)) as connection:  # the migration opened it in WAL mode
        connection.execute("PRAGMA journal_mode = DELETE")


def _epoch_of(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with suppress(sqlite3.Error), closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute("SELECT coalesce(max(number), 0) FROM epochs").fetchone()[0])
    return 0


def _move_away(ledger: Path) -> Path | None:
    """Keep the replaced ledger under another name: it may have events that the backup lacks."""
    if not ledger.exists():
        return None
    kept = ledger.with_name(f"{ledger.name}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for suffix in ("", *_SIDE_FILES):
        with suppress(FileNotFoundError):
            ledger.with_name(ledger.name + suffix).replace(kept.with_name(kept.name + suffix))
    return kept


@contextmanager
def _temporary_file(beside: Path) -> Iterator[Path]:
    """A new file for its owner alone in the folder of another one; removed at the end unless renamed.

    A missing folder is created.
    """
    file = beside.with_name(f".{beside.name}.{os.getpid()}.part")
    try:
        create_private_folder(beside.parent)
        file.unlink(missing_ok=True)
        create_private_file(file)
        yield file
    except OSError as error:
        reason = explain_denied(beside) or error
        raise LedgerError(f"{beside} cannot be written: {reason}") from error
    finally:
        for suffix in ("", *_SIDE_FILES):
            with suppress(NotADirectoryError):  # the folder could not be created
                file.with_name(file.name + suffix).unlink(missing_ok=True)
