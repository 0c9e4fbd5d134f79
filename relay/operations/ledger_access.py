"""The ledger of the settings, for one operation beside a relay that may serve it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError

from relay.ledger import Ledger, LedgerError
from relay.ledger.engine import open_engine, schema_version
from relay.settings import Settings
from relay.standards.file_access import is_missing


def has_ledger(settings: Settings) -> bool:
    """Whether the file of SQLite, or the relay's tables on PostgreSQL exist. Creates nothing.

    True also for a database that cannot be used: to open it then fails with the reason. It waits for the
    database, so an event loop calls it in a thread.
    """
    if settings.ledger.path is not None:
        return not is_missing(settings.ledger.path)
    engine = open_engine(settings.ledger.url.get_secret_value())
    try:
        with engine.connect() as connection:
            return schema_version(connection) is not None
    except (DBAPIError, LedgerError):
        return True
    finally:
        engine.dispose()


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the ledger, create it if there is none, and close it at the end. Raises `LedgerError`."""
    ledger = Ledger(settings.ledger.url.get_secret_value())
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()
