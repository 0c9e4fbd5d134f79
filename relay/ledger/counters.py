"""Counters of what happened and left no row of its own."""

from typing import Final

from sqlalchemy import insert, select, update

from relay.ledger.connection import Connection
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import counters

QUARANTINE_DROPPED: Final = "quarantine_dropped"
"""Bodies that were deleted because the quarantine was full."""


WRITE_CHECKS: Final = "write_checks"
"""Rows that were written only to see whether the ledger can be written."""

RECORDINGS_KEPT_UNTIL: Final = "recordings_kept_until"
"""The time, in microseconds since 1970, until which the recordings of new calls were archived."""

RECONCILED_UNTIL: Final = "reconciled_until"
"""The time, in microseconds since 1970, until which CloudTalk's history was searched for calls."""

FIRST_AUDIT_AFTER: Final = "first_audit_after"
"""The time, in microseconds since 1970, at which a relay first waited for the time of its nightly audit."""


def increase(connection: Connection, name: str, by: int) -> None:
    """Add a number to the counter of this name."""
    advisory_lock(connection, "counters")
    counter = update(counters).where(counters.c.name == name).values(value=counters.c.value + by)
    if connection.execute(counter).rowcount == 0:
        connection.execute(insert(counters).values(name=name, value=by))


def raise_to(connection: Connection, name: str, value: int) -> None:
    """Set the counter of this name, unless it is higher."""
    passed = value - get(connection, name)
    if passed > 0:
        increase(connection, name, passed)


def get(connection: Connection, name: str) -> int:
    """Return the value of this counter, 0 before its first increase."""
    value: int | None = connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar()
    return value or 0
