"""Bodies that could not be read, kept with the reason."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from relay.ledger.tables import quarantine

CONFLICTING_IDS: Final = "conflicting_ids"
"""The reason of a body that was folded, but for an id that belongs to another call."""


class QuarantineRow(msgspec.Struct, frozen=True):
    """A body that could not be read, secrets cut out. `pointer`: where in it, as RFC 6901;
    `once`: what would be said again and again is kept once under this name.
    """

    received_at: int
    reason: str
    message: str
    pointer: str
    content_type: str
    path: str
    query: str
    raw: bytes
    once: str | None = None


def contains(connection: Connection, once: str) -> bool:
    """Whether a body is kept under this name."""
    return connection.execute(select(quarantine.c.id).where(quarantine.c.once == once)).first() is not None


def add(connection: Connection, row: QuarantineRow) -> int:
    """Keep this body; its number."""
    kept = connection.execute(
        insert(quarantine).values(msgspec.structs.asdict(row)).returning(quarantine.c.id)
    )
    number: int = kept.scalar_one()
    return number


def count(connection: Connection) -> int:
    """How many bodies are kept."""
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def all_of(connection: Connection) -> Sequence[Any]:
    """Every body that is kept, oldest first."""
    return connection.execute(select(quarantine).order_by(quarantine.c.id)).all()


def drop(connection: Connection, number: int) -> None:
    """Forget this body."""
    connection.execute(delete(quarantine).where(quarantine.c.id == number))
