"""The check whether the ledger takes events."""

from typing import Final

from sqlalchemy.exc import DBAPIError

from relay.call import CallEvent, Kind
from relay.instants import Instant
from relay.ledger import counters, journal
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerUnavailable
from relay.ledger.journal import NewEvent
from relay.ledger.ledger import Ledger

_SAMPLE: Final = NewEvent(
    received_at=Instant(0),
    content_type="",
    path="",
    query="",
    raw=b"{}",
    parsed=CallEvent(Kind.UPDATE, "", "", (), None, facts={}, data={}),
)


async def check_writable(ledger: Ledger) -> None:
    """Append an event and roll it back, then write a row and check that it is on disk.

    Raises `LedgerUnavailable`, whatever the error of the database: it takes no other event either.
    """
    try:
        await ledger.write(_write)
    except DBAPIError as error:
        raise LedgerUnavailable(f"the ledger cannot be used: it stores no event: {error.orig}") from error


def _write(connection: Connection) -> None:
    connection.execute_sql("SAVEPOINT write_check")
    journal.append(connection, [_SAMPLE])
    connection.execute_sql("ROLLBACK TO SAVEPOINT write_check")
    counters.increase(connection, counters.WRITE_CHECKS, 1)
