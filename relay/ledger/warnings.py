"""Notes to a person: what a running relay saw and `check` should say, one of a name."""

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from relay.ledger.locks import advisory_lock
from relay.ledger.tables import notes

CLOCK_OFF: Final = "clock_off"
"""Signed hooks are refused because their time and this machine's differ too much."""


def record(connection: Connection, name: str, at: int, message: str) -> None:
    """Leave a note, in place of an earlier one."""
    advisory_lock(connection, "notes")
    connection.execute(delete(notes).where(notes.c.name == name))
    connection.execute(insert(notes).values(name=name, at=at, message=message))


def clear(connection: Connection, name: str) -> None:
    """What the note says is over."""
    connection.execute(delete(notes).where(notes.c.name == name))


def get(connection: Connection, name: str, *, since: int) -> str | None:
    """The note of this name, if it is not older than that."""
    found: str | None = connection.execute(
        select(notes.c.message).where(notes.c.name == name, notes.c.at >= since)
    ).scalar()
    return found
