"""SQLite: the settings of a connection, so that each commit is on disk and readers never wait."""

import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine import URL, make_url

from relay.ledger.connection import connect
from relay.ledger.errors import LedgerError
from relay.ledger.sqlite_files import SqliteFiles
from relay.standards.private_files import create_private_file, create_private_folder

BUSY_SECONDS: Final = 5
_BUSY_RETRY_SECONDS: Final = 0.01


def open_sqlite(url: str) -> Engine:
    """Return an engine for this file, and create its folder. Raises `LedgerError`."""
    parsed = make_url(url)
    if parsed.database:
        _create_folder(Path(parsed.database).parent, parsed)
    engine = create_engine(
        parsed,
        pool_size=4,
        pool_use_lifo=True,  # the connection that was used last has the newest pages in its cache
        hide_parameters=True,  # an error goes to the log and to senders: it must not quote personal data
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def watch_files(engine: Engine) -> SqliteFiles | None:
    """Return the files of this engine's database from now on; None if it is no SQLite database."""
    if engine.dialect.name != "sqlite":
        return None
    files = SqliteFiles(Path(str(engine.url.database)))
    # Before `_create_file`, which would create a file that was removed.
    event.listen(engine, "do_connect", lambda *_: files.before_connect(), insert=True)
    event.listen(engine, "connect", lambda *_: files.connected())
    event.listen(engine, "close", lambda *_: files.disconnected())
    return files


def free_caches(engine: Engine) -> None:
    """Free the pages that the connections in the pool keep in memory. Raises `DBAPIError`."""
    pool = cast("QueuePool", engine.pool)
    with ExitStack() as others:
        for _ in range(pool.checkedin()):
            others.enter_context(connect(engine)).execute_sql("PRAGMA shrink_memory")


def _create_folder(folder: Path, url: URL) -> None:
    try:
        create_private_folder(folder)
    except OSError as error:
        raise LedgerError(
            f"the folder of the ledger {url.render_as_string()} cannot be created: {error};"
            " set ledger.url (RELAY__LEDGER__URL) to a place that can be written"
        ) from error


def _create_file(_dialect: Any, _record: object, arguments: list[str], _options: dict[str, Any]) -> None:
    """Create a missing file before SQLite does: other users must not read it, whatever the umask."""
    create_private_file(Path(arguments[0]))


def _configure(connection: Any, _record: object) -> None:
    # The driver would begin its own transactions, too late for a snapshot.
    connection.isolation_level = None
    _use_wal(connection)
    # `secure_delete`: what is deleted is overwritten with zeros, also in free pages (`relay forget`).
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: Any) -> None:
    """Switch to WAL. Retried here: while another process creates the file, SQLite fails at once and ignores
    its busy timeout.
    """
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(_BUSY_RETRY_SECONDS)
        else:
            return


def _begin(connection: Connection) -> None:
    """Begin a migration: SQLAlchemy expects that the driver does it, at the first write."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
