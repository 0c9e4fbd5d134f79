"""Bodies that could not be parsed, or not folded whole, with the reason. A person retries or drops them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select

from relay.instants import Instant
from relay.ledger import counters
from relay.ledger.compression import compress, decompress
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import quarantine
from relay.logs import get_logger

log = get_logger("relay.ledger")

MAX_BODIES: Final = 10_000
MAX_BYTES: Final = 256 * 1024 * 1024
"""The quota of the compressed bodies. Above it the oldest bodies are deleted."""

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


_columns = tuple(quarantine.c[name] for name in QuarantinedBody.__struct_fields__)
_totals = select(func.count(), func.coalesce(func.sum(quarantine.c.size), 0))
_oldest = (
    select(quarantine.c.id, quarantine.c.size)
    .where(quarantine.c.id != bindparam("newest"))
    .order_by(quarantine.c.id)
)
_ids = rows_of(quarantine.c.id)
_by_ids = select(*_columns).join(_ids, _ids.c.id == quarantine.c.id).order_by(quarantine.c.id)
_delete_many = delete(quarantine).where(quarantine.c.id.in_(select(_ids.c.id)))


def add(connection: Connection, body: NewQuarantinedBody) -> int:
    """Insert the body and return its id; if the quarantine is full, the oldest bodies are deleted.

    Raises `IntegrityError` if its unique key is known.
    """
    frame = compress(body.raw)
    values = msgspec.structs.asdict(body) | {"raw": frame, "size": len(frame)}
    id_: int = connection.execute(insert(quarantine).values(values).returning(quarantine.c.id)).scalar_one()
    _keep_quota(connection, newest=id_)
    return id_


def _keep_quota(connection: Connection, newest: int) -> None:
    count_, size = connection.execute(_totals).one()
    if count_ <= MAX_BODIES and size <= MAX_BYTES:
        return
    dropped: list[int] = []
    for id_, size_of_body in connection.execute(_oldest, {"newest": newest}):
        if count_ - len(dropped) <= MAX_BODIES and size <= MAX_BYTES:
            break
        dropped.append(id_)
        size -= size_of_body
    connection.execute(_delete_many, bound((id_,) for id_ in dropped))
    counters.increase(connection, counters.QUARANTINE_DROPPED, len(dropped))
    log.warning("quarantine.dropped", bodies=len(dropped), oldest=dropped[0])


def contains_key(connection: Connection, unique_key: str) -> bool:
    """Return whether a body with this unique key is in quarantine."""
    found = select(quarantine.c.id).where(quarantine.c.unique_key == unique_key)
    return connection.execute(found).first() is not None


def list_ids(connection: Connection, *, reason: str | None = None) -> list[int]:
    """Return the ids of all bodies in quarantine, oldest first; if given, only of those with this reason."""
    statement = select(quarantine.c.id).order_by(quarantine.c.id)
    if reason is not None:
        statement = statement.where(quarantine.c.reason == reason)
    return list(connection.execute(statement).scalars())


class ReasonCount(NamedTuple):
    """How many bodies are in quarantine for one reason, and the id of the newest."""

    reason: str
    bodies: int
    newest: int


_by_reason = (
    select(quarantine.c.reason, func.count(), func.max(quarantine.c.id))
    .group_by(quarantine.c.reason)
    .order_by(func.max(quarantine.c.id).desc())
)


def count_by_reason(connection: Connection) -> list[ReasonCount]:
    """Count the bodies by their reason; the reason of the newest body is the first."""
    return [ReasonCount(*row) for row in connection.execute(_by_reason)]


def get_many(connection: Connection, ids: Iterable[int]) -> list[QuarantinedBody]:
    """Return the bodies with these ids, oldest first; unknown ids are absent.

    A full quarantine does not fit into the memory: read a few bodies at a time.
    """
    bodies = (QuarantinedBody(*row) for row in connection.execute(_by_ids, bound((id_,) for id_ in ids)))
    return [msgspec.structs.replace(body, raw=decompress(body.raw)) for body in bodies]


def count(connection: Connection) -> int:
    """Return the number of bodies in quarantine."""
    number: int = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
    return number


def count_dropped(connection: Connection) -> int:
    """Return the number of bodies that were deleted because the quarantine was full."""
    return counters.get(connection, counters.QUARANTINE_DROPPED)


def last_received_at(connection: Connection) -> Instant | None:
    """Return when the newest body in quarantine arrived; None if it is empty."""
    newest = select(quarantine.c.received_at).order_by(quarantine.c.id.desc()).limit(1)
    arrived: Instant | None = connection.execute(newest).scalar()
    return arrived


def remove(connection: Connection, id_: int) -> None:
    """Remove the body with this id for good."""
    connection.execute(delete(quarantine).where(quarantine.c.id == id_))
