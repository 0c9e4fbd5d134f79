"""Opening the database, and how its schema comes up to date."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from relay.ledger.errors import SchemaError
from relay.ledger.locks import advisory_lock
from relay.ledger.sqlite import open_sqlite

HEAD: Final = "0001"
"""The schema that this code speaks; a test holds it to the newest migration."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def open_engine(url: str) -> Engine:
    """An engine whose every transaction is durable once committed. Raises `LedgerError`."""
    if not url.startswith(("postgresql://", "postgres://")):
        return open_sqlite(url)
    # Imported here: who keeps the ledger in a file needs no driver in memory.
    from relay.ledger.postgres import open_postgres  # noqa: PLC0415

    return open_postgres(url)


def reading_options(engine: Engine) -> dict[str, Any]:
    """What makes a connection of this engine read one snapshot, and hold up nobody."""
    if engine.dialect.name == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {"read_only": True}


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema up to date, all or nothing; the versions before and after.

    A second process waits meanwhile, and then finds nothing to do.
    """
    with engine.begin() as connection:
        _prepare(connection)
        before = schema_version(connection)
        if before != HEAD:
            _upgrade(connection, engine.url, before)
        return before, HEAD


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        from relay.ledger.postgres import make_schema  # noqa: PLC0415 - see open_engine

        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        advisory_lock(connection, "schema")
        make_schema(connection)


def schema_version(connection: Connection) -> str | None:
    """The migration that this database stands at; None where there is none."""
    if not inspect(connection).has_table("alembic_version", schema=schema_of(connection.engine)):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def schema_of(engine: Engine) -> str | None:
    """Where the tables stand: SQLite's file is the relay's own anyway."""
    return "cloudtalk_relay" if engine.dialect.name == "postgresql" else None


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
    """The driver's complaint, with the database it is about."""
    return f"the ledger {url.render_as_string()} cannot be used: {error.orig}"
