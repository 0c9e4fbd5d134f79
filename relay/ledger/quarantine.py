"""Bodies that could not be parsed, or not folded whole, with the reason. A person retries or drops them."""

from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from relay.instants import Instant
from relay.ledger.tables import quarantine

CONFLICTING_IDS: Final = "conflicting_ids"
"""The reason of an event that was folded without an id that belongs to another call."""


class NewQuarantinedBody(msgspec.Struct, frozen=True):
    """A body to quarantine, secrets removed. `pointer`: the place of the problem in it (RFC 6901).

    With a `unique_key`, only the first of many bodies with the same problem is added; see `contains_key`.
    """

    received_at: Instant
    reason: str
    message: str
    pointer: str
    content_type: str
    path: str
    query: str
    raw: bytes
    unique_key: str | None = None


class QuarantinedBody(msgspec.Struct, frozen=True):
    """A body in quarantine; see `NewQuarantinedBody`."""

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


def add(connection: Connection, body: NewQuarantinedBody) -> int:
    """Insert the body and return its id. Raises `IntegrityError` if its unique key is known."""
    statement = insert(quarantine).values(msgspec.structs.asdict(body)).returning(quarantine.c.id)
    id_: int = connection.execute(statement).scalar_one()
    return id_


def contains_key(connection: Connection, unique_key: str) -> bool:
    """Return whether a body with this unique key is in quarantine."""
    found = select(quarantine.c.id).where(quarantine.c.unique_key == unique_key)
    return connection.execute(found).first() is not None


def list_all(connection: Connection) -> list[QuarantinedBody]:
    """Return every body in quarantine, oldest first."""
    return [QuarantinedBody(*row) for row in connection.execute(_all)]


def count(connection: Connection) -> int:
    """Return the number of bodies in quarantine."""
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def remove(connection: Connection, id_: int) -> None:
    """Remove the body with this id for good."""
    connection.execute(delete(quarantine).where(quarantine.c.id == id_))
