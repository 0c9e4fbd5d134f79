"""Opening the database and migrating its schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from relay.ledger.compatibility import (
    COMPATIBLE_FROM,
    require_compatible,
    require_no_older_relay,
    write_compatibility,
)
from relay.ledger.connection import Connection, connect
from relay.ledger.errors import SchemaError
from relay.ledger.leases import advisory_lock
from relay.ledger.sqlite import BUSY_SECONDS, open_sqlite
from relay.ledger.tables import metadata
from relay.standards.file_access import explain_denied

HEAD: Final = "0003"
"""The newest schema version that this code knows; a test compares it with the newest migration."""

_MISSING: Final = ("3F000", "42P01")
"""SQLSTATE: a schema or a table is missing, as in a database that was dropped and created again."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_CREATE_VERSION_TABLE: Final = (
    "CREATE TABLE alembic_version"
    " ( version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )"
)
"""As Alembic creates it."""


def open_engine(url: str) -> Engine:
    """Return an engine whose transactions are on disk once committed. Raises `LedgerError`."""
    if not url.startswith(("postgresql://", "postgres://")):
        return open_sqlite(url)
    # Imported here: with SQLite the driver of PostgreSQL would only cost memory.
    from relay.ledger.postgres import open_postgres  # noqa: PLC0415

    return open_postgres(url)


def begin(connection: Connection, *, read_only: bool, seconds: float | None = None) -> None:
    """Begin a transaction. `read_only`: it reads one snapshot and blocks no writer. `seconds`: the time limit
    of each of its statements on PostgreSQL, if it is not the usual one.
    """
    if connection.dialect.name == "postgresql":
        from relay.ledger.postgres import begin_postgres  # noqa: PLC0415 - see `open_engine`

        begin_postgres(connection, read_only=read_only, seconds=seconds)
    else:
        # A writer must lock at the start: if it locks at its first write, it can fail in the middle.
        connection.execute_sql("BEGIN DEFERRED" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine, *, read_only: bool = False) -> Iterator[Connection]:
    """Commit at the end of the block, or roll back after an error. Raises `DBAPIError`."""
    with connect(engine) as connection:
        begin(connection, read_only=read_only)
        yield connection
        connection.commit()


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Migrate the schema in one transaction and return its version before and after. Raises `SchemaError`.

    A second process waits, and then finds nothing to do. A newer schema stays, if this relay works with it.
    """
    with engine.begin() as connection:
        plain = Connection(connection.connection.driver_connection, engine.dialect)
        _prepare(plain)
        before = schema_version(connection)
        if before == HEAD:
            return before, before
        if before is not None and before > HEAD:
            require_compatible(plain, engine.url, found=before, own=HEAD)
            return before, before
        if before is not None and before < COMPATIBLE_FROM:
            require_no_older_relay(plain, engine.url, compatible_from=COMPATIBLE_FROM, own=HEAD)
        _upgrade(connection, engine.url, before)
        write_compatibility(plain, COMPATIBLE_FROM)
        return before, HEAD


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        from relay.ledger.postgres import begin_postgres, create_schema  # noqa: PLC0415 - see `open_engine`

        begin_postgres(connection, read_only=False)
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        advisory_lock(connection, "schema")
        create_schema(connection)


def vacuum(engine: Engine) -> None:
    """Rewrite the database without the space of removed rows."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM")
    if engine.dialect.name == "sqlite":
        empty_wal(engine)


def empty_wal(engine: Engine, *, seconds: float = BUSY_SECONDS) -> bool:
    """Write the content of SQLite's WAL to the database. Return whether the WAL is empty: it is not while
    another connection reads from it for longer than `seconds`.
    """
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(seconds * 1_000)}")
        is_busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000}")
    return not is_busy


def schema_version(connection: AlchemyConnection) -> str | None:
    """Return the newest migration that this database had; None if it has no schema."""
    if not inspect(connection).has_table("alembic_version", schema=schema_name(connection.engine)):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def schema_name(engine: Engine) -> str | None:
    """Return the database schema of the tables; None on SQLite, whose file is the relay's alone."""
    return "cloudtalk_relay" if engine.dialect.name == "postgresql" else None


def _upgrade(connection: AlchemyConnection, url: URL, before: str | None) -> None:
    try:
        if before is None:
            _create(connection)
        else:
            _run_migrations(connection, url, before)
    except SchemaError:
        raise
    except Exception as error:
        raise SchemaError(
            f"the ledger {url.render_as_string()} could not be migrated from schema {before} to {HEAD}"
            f" and is unchanged: {error}"
        ) from error


def _create(connection: AlchemyConnection) -> None:
    """Create the newest schema in an empty database. The migrations give the same one, as tests show, but
    Alembic would take longer, and 9 MB until the process ends.
    """
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(_CREATE_VERSION_TABLE))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _run_migrations(connection: AlchemyConnection, url: URL, before: str | None) -> None:
    # Imported here: most starts need no migration, and Alembic would stay in memory.
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
            f"the ledger {url.render_as_string()} has schema {before}, which no version of the relay wrote;"
            " restore a backup"
        ) from error


def explain(error: DBAPIError, url: URL) -> str:
    """Return the driver's error message, with the database that it concerns."""
    problem = f"the ledger {url.render_as_string()} cannot be used: {error.orig}"
    if (denied := explain_denied_file(url)) is not None:
        return f"{problem}; {denied}"
    if sqlstate(error) in _MISSING:
        return f"{problem}; restore the database, or restart the relay to create empty tables"
    return problem


def explain_denied_file(url: URL) -> str | None:
    """Return whose file it is if this process may not use that of an SQLite ledger; else None."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return explain_denied(Path(url.database))


def sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's code of the error; empty on SQLite."""
    return getattr(error.orig, "sqlstate", None) or ""
