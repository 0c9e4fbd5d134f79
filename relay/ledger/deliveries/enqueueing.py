"""Making new versions of calls pending at every destination."""

from collections.abc import Sequence

from sqlalchemy import BindParameter, bindparam, case, exists, literal, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import KEEPS_SCHEDULE
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, sql_state
from relay.ledger.tables import deliveries, destinations, tombstones

_now: BindParameter[int] = bindparam("now")
_versions = rows_of(deliveries.c.call, deliveries.c.version)
_requeue_known = (
    update(deliveries)
    .where(deliveries.c.call == _versions.c.call)
    .values(
        version=_versions.c.version,
        state=DeliveryState.PENDING,
        # A pending delivery keeps its backoff; any other starts with a new schedule.
        pending_since=case((KEEPS_SCHEDULE, deliveries.c.pending_since), else_=_now),
        due_at=case((KEEPS_SCHEDULE, deliveries.c.due_at), else_=_now),
        not_before=case((KEEPS_SCHEDULE, deliveries.c.not_before), else_=null()),
        attempts=case((KEEPS_SCHEDULE, deliveries.c.attempts), else_=0),
        failing_for=case((KEEPS_SCHEDULE, deliveries.c.failing_for), else_=0),
    )
)
_always = literal_column("1") == literal_column("1")
_insert_new = (
    insert(deliveries)
    .from_select(
        [
            "destination",
            "call",
            "state",
            "version",
            "delivered_version",
            "pending_since",
            "due_at",
            "attempts",
            "failing_for",
        ],
        select(
            destinations.c.name,
            _versions.c.call,
            sql_state(DeliveryState.PENDING),
            _versions.c.version,
            literal(0),
            _now,
            _now,
            literal(0),
            literal(0),
        )
        .select_from(_versions.join(destinations, _always))
        # Of a call that retention deleted only late events are known, which make no record of a call.
        .where(~exists().where(tombstones.c.call == _versions.c.call)),
    )
    .on_conflict_do_nothing()
)


def enqueue(connection: Connection, versions: Sequence[tuple[str, int]], *, now: Instant) -> None:
    """Make these calls, each as (id, version), pending at every destination.

    A call that retention deleted once is made pending only at the destinations that have a record of it.
    """
    parameters = bound(versions) | {"now": now}
    connection.execute(_requeue_known, parameters)
    connection.execute(_insert_new, parameters)
    if versions:
        notify(connection)
