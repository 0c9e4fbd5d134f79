"""How many calls each destination got for the first time, counted in the transaction that settles their push.

The deliveries have no index by the time of the first delivery, which would cost each push of every call. A
count costs one statement, and only in a transaction with a first delivery.
"""

from typing import Final

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant, duration
from relay.ledger.connection import Connection
from relay.ledger.tables import delivered_counts

QUARTER: Final = duration(15 * 60)

_insert = insert(delivered_counts).values(
    destination=bindparam("destination"), quarter=bindparam("quarter"), calls=bindparam("calls")
)
_add = _insert.on_conflict_do_update(
    index_elements=["destination", "quarter"],
    set_={"calls": delivered_counts.c.calls + _insert.excluded.calls},
)


def add(connection: Connection, destination: str, calls: int, *, now: Instant) -> None:
    """Count calls that the destination got now for the first time."""
    if calls:
        connection.execute(_add, {"destination": destination, "quarter": now // QUARTER, "calls": calls})


_counts = (
    select(delivered_counts.c.destination, func.sum(delivered_counts.c.calls))
    .where(delivered_counts.c.quarter >= bindparam("first"))
    .group_by(delivered_counts.c.destination)
)


def count_since(connection: Connection, since: Instant) -> dict[str, int]:
    """Return for each destination how many calls it got since then, which is the begin of a quarter."""
    found = connection.execute(_counts, {"first": since // QUARTER}).all()
    return {destination: int(calls) for destination, calls in found}


_delete = delete(delivered_counts).where(delivered_counts.c.quarter < bindparam("first"))


def delete_old(connection: Connection, *, before: Instant) -> None:
    """Delete the counts of quarters that began before this instant."""
    connection.execute(_delete, {"first": before // QUARTER})
