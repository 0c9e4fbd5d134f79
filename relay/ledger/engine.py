"""Opening the database: how each engine is set up, and how its schema comes up to date."""

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

HEAD: Final = "0001"
"""The schema that this code speaks; a test holds it to the newest migration."""

_BUSY_SECONDS: Final = 5
_BUSY_PAUSE_SECONDS: Final = 0.01
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


class SchemaError(LedgerError):
    """The schema could not be brought up to date."""


def open_engine(url: str) -> Engine:
    """An engine whose every transaction is durable once committed. Raises `LedgerError`."""
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


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema up to date, all or nothing; the versions before and after.

    The transaction's write lock makes a second process wait, and then find nothing to do.
    """
    with engine.begin() as connection:
        before = schema_version(connection)
        if before != HEAD:
            _upgrade(connection, engine.url, before)
        return before, HEAD


def schema_version(connection: Connection) -> str | None:
    """The migration that this database stands at; None where there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _upgrade(connection: Connection, url: URL, before: str | None) -> None:
    # Imported here: most starts find the schema up to date, and Alembic costs memory for good.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(
            f"the ledger {url.render_as_string()} stands at schema {before}, which this version of the relay"
            f" does not know (it knows up to {HEAD}); run the newer relay that wrote it"
        ) from error
    except Exception as error:
        raise SchemaError(
            f"the ledger {url.render_as_string()} could not be brought from schema {before} to {HEAD}"
            f" and was left as it was: {error}"
        ) from error


def explain(error: DBAPIError, url: URL) -> str:
    """The driver's complaint, with the file it is about."""
    return f"the ledger {url.render_as_string()} cannot be used: {error.orig}"
