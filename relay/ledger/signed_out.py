"""Sessions of the console that their persons ended, until they would have expired by themselves."""

from sqlalchemy import bindparam, delete, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.tables import signed_out as table

_contains = select(table.c.session).where(table.c.session == bindparam("session"))
_expired = delete(table).where(table.c.until < bindparam("now"))
_same = delete(table).where(table.c.session == bindparam("session"))


def add(connection: Connection, session: str, *, until: Instant, now: Instant) -> None:
    """Remember that this session is over, and forget those that have expired."""
    connection.execute(_expired, {"now": now})
    connection.execute(_same, {"session": session})
    connection.execute(insert(table).values(session=session, until=until))


def contains(connection: Connection, session: str) -> bool:
    """Whether the person ended this session."""
    return connection.execute(_contains, {"session": session}).scalar() is not None
