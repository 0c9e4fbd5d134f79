"""Writing the results of attempts. The caller must hold the lease of the destination."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, case, func, literal_column, or_, select, update

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import EARLIEST_DUE, IS_PENDING, DeliveryUpdate
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import DeliveryState, has_state, sql_state
from relay.ledger.tables import deliveries, destinations

_now: BindParameter[int] = bindparam("now")
# The destination is a part of each row: as a parameter of its own, SQLite would read all its deliveries.
_updates = rows_of(
    deliveries.c.destination, *(deliveries.c[name] for name in DeliveryUpdate.__struct_fields__)
)
_has_newer = deliveries.c.version > _updates.c.version
_was_asked = and_(deliveries.c.rewrite, ~_updates.c.rewrite)  # for the whole record, by a replay
_changed_meanwhile = or_(_has_newer, _was_asked)
_is_done = _updates.c.state != sql_state(DeliveryState.PENDING)
# The schedule was that of the push: what was enqueued meanwhile begins its own, unless the attempt failed.
_restarts = and_(_changed_meanwhile, _is_done)
_is_delivered = _updates.c.state == sql_state(DeliveryState.DELIVERED)
_settle = (
    update(deliveries)
    .where(deliveries.c.destination == _updates.c.destination, deliveries.c.call == _updates.c.call)
    .values(
        state=case((_changed_meanwhile, sql_state(DeliveryState.PENDING)), else_=_updates.c.state),
        due_at=case((_restarts, _now), else_=_updates.c.due_at),
        pending_since=case((_restarts, _now), else_=deliveries.c.pending_since),
        attempts=case((_restarts, 0), else_=_updates.c.attempts),
        failing_for=case((_restarts, 0), else_=_updates.c.failing_for),
        first_delivered_at=case(
            (and_(deliveries.c.first_delivered_at.is_(None), _updates.c.delivered_version > 0), _now),
            else_=deliveries.c.first_delivered_at,
        ),
        rewrite=and_(deliveries.c.rewrite, or_(_changed_meanwhile, ~_is_delivered)),
        **{
            name: _updates.c[name]
            for name in (
                "delivered_version",
                "attempted_at",
                "remote_id",
                "outcome",
                "code",
                "message",
                "not_before",
                "rendering",
                "partial",
            )
        },
    )
)


def settle(
    connection: Connection, destination: str, updates: Sequence[DeliveryUpdate], *, now: Instant
) -> None:
    """Write these results. A delivery stays pending if it got a newer version meanwhile, or if a replay asked
    for the whole record.
    """
    updates = sorted(updates, key=lambda update: update.call)
    rows = bound((destination, *msgspec.structs.astuple(update)) for update in updates)
    connection.execute(_settle, rows | {"now": now})


_pushed = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.delivered_version)
_requeue_pushed = (
    update(deliveries)
    .where(deliveries.c.destination == _pushed.c.destination, deliveries.c.call == _pushed.c.call)
    .values(
        state=DeliveryState.PENDING,
        due_at=EARLIEST_DUE,
        pending_since=case((IS_PENDING, deliveries.c.pending_since), else_=_now),
        delivered_version=case(
            (deliveries.c.delivered_version > _pushed.c.delivered_version, _pushed.c.delivered_version),
            else_=deliveries.c.delivered_version,
        ),
    )
)


def requeue_after_lost_lease(
    connection: Connection, destination: str, pushed: Sequence[tuple[str, int]], *, now: Instant
) -> None:
    """Make deliveries pending again that were pushed by a worker whose lease had expired.

    `pushed`: (call, delivered version that the worker knew). Its requests may have reached the CRM after
    those of the new holder, so the CRM may hold stale fields: all that changed since that version is sent
    again. This is the only result that is written without the lease.
    """
    rows = bound((destination, call, version) for call, version in sorted(pushed))
    connection.execute(_requeue_pushed, rows | {"now": now})


_rejected_run = (
    select(deliveries.c.call)
    .join(destinations, destinations.c.name == deliveries.c.destination)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        has_state(deliveries.c.state, DeliveryState.DEAD),
        deliveries.c.outcome == literal_column("'rejected'"),
        deliveries.c.code == bindparam("of_code"),
        deliveries.c.attempted_at > func.coalesce(destinations.c.delivered_at, 0),
    )
)
_requeue_run = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        deliveries.c.call.in_(_rejected_run.scalar_subquery()),
    )
    .values(state=DeliveryState.PENDING, due_at=_now, pending_since=_now, attempts=0, failing_for=0)
)


def requeue_rejected_run(
    connection: Connection, destination: str, code: str, *, min_length: int, now: Instant
) -> int:
    """Make the calls pending again that were rejected with this code since the destination last took one, if
    there are `min_length` or more: so many rejections are a fault of the configuration, not of the calls.

    Return their number, or 0 if there are fewer.
    """
    parameters = {"of_destination": destination, "of_code": code}
    length = len(connection.execute(_rejected_run, parameters).all())
    if length < min_length:
        return 0
    connection.execute(_requeue_run, parameters | {"now": now})
    return length
