"""Leases: what only one process may do at a time, fenced by a token that grows.

The holder proves itself in each transaction that matters (`check`), not only on a heartbeat.
"""

from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from relay.instants import Instant
from relay.ledger.errors import LeaseLost
from relay.ledger.locks import advisory_lock
from relay.ledger.process_identity import is_gone
from relay.ledger.tables import leases


class _LeaseRow(NamedTuple):
    owner: str
    token: int
    expires_at: Instant


_by_name = (
    select(leases.c.owner, leases.c.token, leases.c.expires_at)
    .where(leases.c.name == bindparam("name"))
    .with_for_update()
)


def acquire(
    connection: Connection, name: str, owner: str, *, now: int, length: int, force: bool = False
) -> int | None:
    """Take the lease where it is free, run out or ours; its token, or None while another holds it.

    `force` takes it from its holder, who learns of it before it writes anything more.
    """
    advisory_lock(connection, name)
    row = connection.execute(_by_name, {"name": name}).one_or_none()
    if row is None:
        connection.execute(insert(leases).values(name=name, owner=owner, token=1, expires_at=now + length))
        return 1
    held = _LeaseRow(*row)
    # A lease that runs longer than its length was taken before the clock was set back: it is over.
    runs = now < held.expires_at <= now + length
    if runs and held.owner != owner and not force:
        return None
    token = held.token + 1
    connection.execute(
        update(leases).where(leases.c.name == name).values(owner=owner, token=token, expires_at=now + length)
    )
    return token


def check(connection: Connection, name: str, token: int, *, now: int, length: int) -> None:
    """Check that the lease is still held, and hold it on. Raises `LeaseLost`."""
    ours = and_(leases.c.name == name, leases.c.token == token)
    held = connection.execute(update(leases).where(ours).values(expires_at=now + length))
    if held.rowcount != 1:
        raise LeaseLost(f"the lease {name} has passed to another process")


def release(connection: Connection, name: str, token: int) -> None:
    """Let another have it at once. The row stays, for its token."""
    ours = and_(leases.c.name == name, leases.c.token == token)
    connection.execute(update(leases).where(ours).values(expires_at=0))


def free_orphans(connection: Connection) -> list[str]:
    """Free the leases of processes of this host that are gone; their names."""
    held = connection.execute(select(leases.c.name, leases.c.owner).where(leases.c.expires_at > 0))
    orphans: list[str] = [name for name, owner in held if is_gone(owner)]
    connection.execute(update(leases).where(leases.c.name.in_(orphans)).values(expires_at=0))
    return orphans
