"""Epochs: after a restore, versions of calls begin above all versions that a CRM may hold.

A version is `epoch * 2**32 + n`. A ledger begins with epoch 0, so its versions are 1, 2, 3 and so on. Each
restore begins a new epoch. CRMs keep the record with the higher version: without an epoch, the versions of a
restored ledger would lose against those that were delivered after the backup. A version stays below 2**53,
the largest whole number of JSON readers, for two million epochs.
"""

from typing import Final

from sqlalchemy import func, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.forgotten import KEY
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import epochs

_BITS: Final = 32
_current = select(func.coalesce(func.max(epochs.c.number), 0))


def current(connection: Connection) -> int:
    """Return the number of the present epoch."""
    return int(connection.execute(_current).scalar_one())


_current_and_key = select(_current.scalar_subquery(), KEY)


def floor_and_key(connection: Connection) -> tuple[int, str | None]:
    """Return the number above which new versions begin, and the key of the hashes of what was forgotten."""
    number, key = connection.execute(_current_and_key).one()
    return int(number) << _BITS, key


def version_floor(connection: Connection) -> int:
    """Return the number above which new versions begin."""
    return current(connection) << _BITS


def epoch_of(version: int) -> int:
    """Return the epoch in which a version was given."""
    return version >> _BITS


def begin(connection: Connection, *, now: Instant, at_least: int = 0) -> int:
    """Begin a new epoch, not below `at_least`, and return its number.

    The ledger may lack events of calls that were delivered in an earlier epoch, see `is_partial`.
    """
    advisory_lock(connection, "epochs")
    number = max(current(connection) + 1, at_least)
    connection.execute(insert(epochs).values(number=number, began_at=now))
    return number
