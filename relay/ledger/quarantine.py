"""Bodies that could not be read, kept with the reason."""

from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from relay.instants import Instant
from relay.ledger.tables import quarantine

CONFLICTING_IDS: Final = "conflicting_ids"
"""The reason of a body that was folded, but for an id that belongs to another call."""


class NewQuarantinedBody(msgspec.Struct, frozen=True):
    """A body that could not be read, secrets cut out. `pointer`: where in it, as RFC 6901;
    `unique_key`: what would be said again and again is kept once under this name.
    """

    received_at: int
    reason: str
    message: str
    pointer: str
    content_type: str
    path: str
    query: str
    raw: bytes
    unique_key: str | None = None


class QuarantinedBody(msgspec.Struct, frozen=True):
    """A body in quarantine, secrets removed. `pointer`: the place of the problem in it (RFC 6901)."""

    id: int
    received_at: Instant
    reason: str
    message: str
    pointer: str
    content_type: str
    path: str
    query: str
    raw: bytes


_all = select(*(quarantine.c[name] for name in QuarantinedBody.__struct_fields__)).order_by(quarantine.c.id)


def contains_key(connection: Connection, unique_key: str) -> bool:
    """Whether a body is kept under this name."""
    return (
        connection.execute(select(quarantine.c.id).where(quarantine.c.unique_key == unique_key)).first()
        is not None
    )


def add(connection: Connection, row: NewQuarantinedBody) -> int:
    """Keep this body; its number."""
    kept = connection.execute(
        insert(quarantine).values(msgspec.structs.asdict(row)).returning(quarantine.c.id)
    )
    number: int = kept.scalar_one()
    return number


def count(connection: Connection) -> int:
    """How many bodies are kept."""
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def list_all(connection: Connection) -> list[QuarantinedBody]:
    """Return every body in quarantine, oldest first."""
    return [QuarantinedBody(*row) for row in connection.execute(_all)]


def remove(connection: Connection, number: int) -> None:
    """Forget this body."""
    connection.execute(delete(quarantine).where(quarantine.c.id == number))
