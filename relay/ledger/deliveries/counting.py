"""How many deliveries each destination has in each state.

The pending and the dead ones have small indexes: retention keeps their calls. The delivered ones are counted
by reading all deliveries, which takes a second with a million.
"""

from collections.abc import Mapping

from sqlalchemy import case, func, select

from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import IS_HELD, IS_PENDING, DeliveryCounts
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import calls, deliveries

_pending = (
    select(
        deliveries.c.destination,
        func.count(),
        func.min(deliveries.c.pending_since),
        func.sum(case((IS_HELD, 1), else_=0)),
    )
    .where(IS_PENDING)
    .group_by(deliveries.c.destination)
)
_dead = (
    select(deliveries.c.destination, func.count())
    .where(has_state(deliveries.c.state, DeliveryState.DEAD))
    .group_by(deliveries.c.destination)
)
# Deliveries of deleted calls stay with the tombstones, and are not counted.
_delivered = (
    select(deliveries.c.destination, func.count())
    .join(calls, calls.c.id == deliveries.c.call)
    .where(has_state(deliveries.c.state, DeliveryState.DELIVERED))
    .group_by(deliveries.c.destination)
)


def count_delivered(connection: Connection) -> dict[str, int]:
    """Count the calls that each destination has in their newest version; destinations without are absent."""
    return {name: int(number) for name, number in connection.execute(_delivered).all()}


def counts_by_destination(
    connection: Connection, delivered: Mapping[str, int] | None = None
) -> dict[str, DeliveryCounts]:
    """Count the deliveries of each destination; destinations without deliveries are absent.

    `delivered`: what `count_delivered` returned, perhaps a while ago; None counts them now.
    """
    if delivered is None:
        delivered = count_delivered(connection)
    pending = {
        name: (int(number), since, int(held))
        for name, number, since, held in connection.execute(_pending).all()
    }
    dead = {name: int(number) for name, number in connection.execute(_dead).all()}
    counts = {}
    for name in {*pending, *dead, *delivered}:
        number, since, held = pending.get(name, (0, None, 0))
        counts[name] = DeliveryCounts(number, delivered.get(name, 0), dead.get(name, 0), since, held)
    return counts
