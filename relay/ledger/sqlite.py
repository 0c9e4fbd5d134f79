"""SQLite: how a connection is set up, so that each commit is on disk and readers never wait."""

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

from relay.ledger.errors import LedgerError

_BUSY_SECONDS: Final = 5
_BUSY_PAUSE_SECONDS: Final = 0.01


def open_sqlite(url: str) -> Engine:
    """An engine over this file, whose folder is made. Raises `LedgerError`."""
    parsed = make_url(url)
    if parsed.database:
        _make_folder(Path(parsed.database).parent, parsed)
    engine = create_engine(
        parsed,
        pool_size=4,
        hide_parameters=True,  # an error is logged and answered: it must not quote what people said
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _make_folder(folder: Path, url: URL) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"the folder of the ledger {url.render_as_string()} cannot be made: {error};"
            " set ledger.url (RELAY__LEDGER__URL) to a place that can be written"
        ) from error


def _set_up(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late for a reader's snapshot; `_begin` does it.
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: Any) -> None:
    """Wait for it here: a new database that another process sets up, SQLite refuses at once,
    whatever its time-out.
    """
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return


def _begin(connection: Connection) -> None:
    # A writer that takes its lock only at the first write can fail in the middle instead of waiting.
    mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")
