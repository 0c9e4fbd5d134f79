"""Taking turns: what two processes must not do at the same time, within a transaction."""

from sqlalchemy import Connection, text

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('cloudtalk-relay'), hashtext(:what))")


def advisory_lock(connection: Connection, what: str) -> None:
    """Wait until no other transaction is at this, and be at it until ours ends.

    SQLite's transactions take turns at writing anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"what": what})
