"""Queries on leases, and locks within a transaction.

A lease is what only one process may do at a time. Its fencing token grows with each new holder, so a holder
that was replaced without noticing fails at `check`, which each of its transactions must call.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, insert, select, text, update

from relay.instants import Duration, Instant
from relay.ledger.connection import Connection
from relay.ledger.errors import LeaseLost
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.process_identity import is_gone
from relay.ledger.tables import leases

_lock = text("SELECT pg_advisory_xact_lock(hashtext('cloudtalk-relay'), hashtext(:name))")


def delivery_lease(destination: str) -> str:
    """Return the name of the lease of the worker that delivers to this destination."""
    return f"delivery:{destination}"


def advisory_lock(connection: Connection, name: str) -> None:
    """Lock this name until the transaction ends, and wait while another transaction has it locked.

    SQLite needs none: its writing transactions run one after the other.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_lock, {"name": name})


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
    connection: Connection, name: str, owner: str, *, now: Instant, length: Duration, force: bool = False
) -> int | None:
    """Take the lease if it is free, expired, or already this owner's, and return its new token.

    Return None while another owner holds it. `force` takes it from that owner, whose next `check` fails.
    """
    advisory_lock(connection, name)
    row = connection.execute(_by_name, {"name": name}).one_or_none()
    if row is None:
        connection.execute(insert(leases).values(name=name, owner=owner, token=1, expires_at=now + length))
        return 1
    held = _LeaseRow(*row)
    # A lease that would last for more than twice its length began before the clock was set back: it is over.
    # One that lasts a little longer than its length is valid: its holder may have read the clock later than
    # this transaction, which then waited for the lock.
    is_valid = now < held.expires_at <= now + 2 * length
    if is_valid and held.owner != owner and not force:
        return None
    token = held.token + 1
    connection.execute(
        update(leases).where(leases.c.name == name).values(owner=owner, token=token, expires_at=now + length)
    )
    return token


_is_held = and_(leases.c.name == bindparam("of_name"), leases.c.token == bindparam("of_token"))
# Locked on PostgreSQL: nobody acquires the lease before the transaction of its holder has ended.
_held = select(leases.c.expires_at).where(_is_held).with_for_update()
_set_expiry = update(leases).where(_is_held).values(expires_at=bindparam("expiry"))


def check(connection: Connection, name: str, token: int, *, now: Instant, length: Duration) -> Instant:
    """Return when the lease ends. Renew it if that is due; otherwise nothing is written.

    Raises `LeaseLost` if another owner took it since.
    """
    held = connection.execute(_held, {"of_name": name, "of_token": token}).one_or_none()
    if held is None:
        raise LeaseLost(f"the lease {name} has passed to another process")
    if not is_renewal_due(held.expires_at, now=now, length=length):
        return Instant(held.expires_at)
    expiry = Instant(now + length)
    connection.execute(_set_expiry, {"of_name": name, "of_token": token, "expiry": expiry})
    return expiry


def is_renewal_due(expires_at: Instant, *, now: Instant, length: Duration) -> bool:
    """Whether more than a third of the length is over, or the clock was set back by as much."""
    return abs(now + length - expires_at) > length // 3


def release(connection: Connection, name: str, token: int) -> None:
    """Expire the lease now, if this token still holds it. The row stays, because the token must grow."""
    connection.execute(_set_expiry, {"of_name": name, "of_token": token, "expiry": 0})


def free_all(connection: Connection) -> None:
    """Expire every lease: the ledger was restored, and its holders do not use it."""
    connection.execute(update(leases).values(expires_at=0))


def list_held(connection: Connection, *, now: Instant) -> list[str]:
    """Return the owners of the leases that have not expired."""
    held = connection.execute(select(leases.c.owner).where(leases.c.expires_at > now).distinct())
    return sorted(held.scalars())


def list_names(connection: Connection, *, now: Instant) -> set[str]:
    """Return the names of the leases that a process holds. One of this host that has ended holds none."""
    held = connection.execute(select(leases.c.name, leases.c.owner).where(leases.c.expires_at > now))
    return {name for name, owner in held if not is_gone(owner)}


_names = rows_of(leases.c.name)
_expire = update(leases).where(leases.c.name == _names.c.name).values(expires_at=0)


def free_orphans(connection: Connection) -> list[str]:
    """Expire the leases of processes of this host that have ended, and return their names."""
    held = connection.execute(select(leases.c.name, leases.c.owner).where(leases.c.expires_at > 0))
    orphans: list[str] = [name for name, owner in held if is_gone(owner)]
    connection.execute(_expire, bound((name,) for name in orphans))
    return orphans
