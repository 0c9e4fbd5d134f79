"""Deliveries that need no push now, for CRMs that get complete calls only.

The caller must hold the lease of the destination.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Subquery, and_, bindparam, update

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import IS_HELD, IS_PENDING
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import DeliveryState
from relay.ledger.tables import deliveries


def _is_in(rows: Subquery) -> ColumnElement[bool]:
    """Whether a delivery is pending in the version of one of these rows."""
    return and_(
        deliveries.c.destination == rows.c.destination,
        deliveries.c.call == rows.c.call,
        deliveries.c.version == rows.c.version,
        IS_PENDING,
    )


_held = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.version, deliveries.c.due_at)
_hold = (
    update(deliveries)
    .where(_is_in(_held))
    .values(
        due_at=_held.c.due_at,
        not_before=_held.c.due_at,
        pending_since=_held.c.due_at,
        attempts=0,
        failing_for=0,
    )
)


def hold(connection: Connection, destination: str, held: Sequence[tuple[str, int, Instant]]) -> None:
    """Let these calls wait, each as (id, version, until), unless a newer version was enqueued meanwhile.

    `pending_since` of such a delivery is in the future, so that it is not late; `not_before` is too, so that
    no probe takes it. A newer version ends the wait.
    """
    if held:
        connection.execute(_hold, bound((destination, *each) for each in sorted(held)))


_end_waits = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        IS_PENDING,
        IS_HELD,
        deliveries.c.due_at > bindparam("now"),
    )
    .values(due_at=bindparam("now"), pending_since=bindparam("now"), not_before=None)
)


def end_waits(connection: Connection, destination: str, *, now: Instant) -> None:
    """Make the calls due that wait, so that the worker decides by its present settings. It lets those wait
    again that are not complete.
    """
    connection.execute(_end_waits, {"of_destination": destination, "now": now})


_kept = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.version)
_keep = (
    update(deliveries)
    .where(_is_in(_kept), ~deliveries.c.rewrite)
    .values(state=DeliveryState.DELIVERED, not_before=None)
)


def keep(connection: Connection, destination: str, kept: Sequence[tuple[str, int]]) -> None:
    """Leave the record of these calls, each as (id, version), as the CRM has it: `delivered_version` stays.

    A delivery stays pending if a newer version was enqueued meanwhile, or if a replay asked for the record.
    """
    if kept:
        connection.execute(_keep, bound((destination, *each) for each in sorted(kept)))
