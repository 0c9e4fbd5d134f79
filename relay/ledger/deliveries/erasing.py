"""Deliveries of forgotten calls: the CRM is to erase its record, and then the delivery is deleted.

Such a delivery has the ids of the call and of the record, and what the client needs to find them in its CRM
(`CrmClient.forget_fields`). Its version is above that of a push under way: so that push leaves it pending.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, delete, exists, func, literal, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from relay.call import Call, minimal_call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import IS_PENDING
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, sql_state
from relay.ledger.tables import attempts, deliveries

_encode = msgspec.json.Encoder().encode


class Erasure(NamedTuple):
    """A CRM that has the record of a forgotten call, or may have it. `remote_id`: of the record."""

    destination: str
    call: str
    remote_id: str | None


_ids = rows_of(deliveries.c.call)
_of_calls = select(
    deliveries.c.destination, deliveries.c.call, deliveries.c.version, deliveries.c.remote_id
).join(_ids, _ids.c.call == deliveries.c.call)
_may_have_record = or_(deliveries.c.delivered_version > 0, deliveries.c.outcome.is_not(None), IS_PENDING)
_to_erase = _of_calls.where(_may_have_record, deliveries.c.erase.is_(None)).order_by(
    deliveries.c.destination, deliveries.c.call
)
_count = (
    select(deliveries.c.destination, func.count())
    .join(_ids, _ids.c.call == deliveries.c.call)
    .where(_may_have_record)
    .group_by(deliveries.c.destination)
)
_without_record = delete(deliveries).where(
    deliveries.c.call.in_(select(_ids.c.call)), ~_may_have_record, deliveries.c.erase.is_(None)
)
_key = and_(
    deliveries.c.destination == bindparam("of_destination"), deliveries.c.call == bindparam("of_call")
)
_remove = delete(deliveries).where(_key)
_enqueue = (
    update(deliveries)
    .where(_key)
    .values(
        state=DeliveryState.PENDING,
        version=bindparam("new_version"),
        erase=bindparam("minimal"),
        pending_since=bindparam("now"),
        due_at=bindparam("now"),
        not_before=None,
        attempts=0,
        failing_for=0,
        rewrite=False,
        rendering=None,
        outcome=None,
        code=None,
        message=None,
    )
)


def count_erasures(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """Count those of these calls that each destination has, or may have."""
    found = connection.execute(_count, bound((id_,) for id_ in sorted(ids))).all()
    return {name: int(number) for name, number in sorted(found)}


def enqueue_erasures(
    connection: Connection,
    calls: Mapping[str, Call | None],
    fields: Mapping[str, Collection[str]],
    *,
    now: Instant,
) -> tuple[list[Erasure], list[Erasure]]:
    """Let each destination erase these calls that has them or may have them. None: retention has deleted the
    call. `fields`: by the name of a destination, what its client needs. Nobody serves a destination that is
    absent there, so its deliveries are deleted.

    Return the erasures that are pending now, and those that nobody does.
    """
    ids = bound((id_,) for id_ in sorted(calls))
    pending, unserved = list[Erasure](), list[Erasure]()
    for destination, id_, version, remote_id in connection.execute(_to_erase, ids).all():
        erasure, key = Erasure(destination, id_, remote_id), {"of_destination": destination, "of_call": id_}
        if destination not in fields:
            connection.execute(_remove, key)
            unserved.append(erasure)
            continue
        minimal = minimal_call(id_, version=version + 1, of=calls[id_], fields=fields[destination])
        values = {"new_version": version + 1, "minimal": _encode(minimal).decode(), "now": now}
        connection.execute(_enqueue, key | values)
        pending.append(erasure)
    connection.execute(_without_record, ids)
    notify(connection)
    return pending, unserved


_again = rows_of(
    deliveries.c.destination,
    deliveries.c.call,
    deliveries.c.version,
    deliveries.c.erase,
    deliveries.c.remote_id,
)
_columns = ("destination", "call", "version", "erase", "remote_id")
_erase_again = (
    insert(deliveries)
    .from_select(
        [*_columns, "state", "delivered_version", "pending_since", "due_at", "attempts", "failing_for"],
        select(
            *(_again.c[name] for name in _columns),
            sql_state(DeliveryState.PENDING),
            literal(0),
            bindparam("now"),
            bindparam("now"),
            literal(0),
            literal(0),
        ).where(literal_column("1") == literal_column("1")),
    )
    .on_conflict_do_nothing()
)


def erase_again(
    connection: Connection, destination: str, pushed: Iterable[tuple[Call, str | None]], *, now: Instant
) -> None:
    """Erase those of these calls, each with the id of its record, that have no delivery any more: they were
    forgotten, and a push that was under way may have reached the CRM after their erasure.
    """
    rows = [
        (destination, call.id, call.version, _encode(call).decode(), remote_id) for call, remote_id in pushed
    ]
    if rows:
        connection.execute(_erase_again, bound(sorted(rows, key=lambda row: row[1])) | {"now": now})


_done = rows_of(deliveries.c.destination, deliveries.c.call)
_is_done = and_(
    deliveries.c.destination == _done.c.destination,
    deliveries.c.call == _done.c.call,
    deliveries.c.erase.is_not(None),
)
_finish = delete(deliveries).where(exists().where(_is_done))
_delete_attempts = delete(attempts).where(attempts.c.call.in_(select(_ids.c.call)))


def finish_erasures(connection: Connection, destination: str, ids: Collection[str]) -> None:
    """Delete these deliveries and the attempts of their calls: the CRM has erased the records."""
    if ids:
        connection.execute(_finish, bound((destination, id_) for id_ in sorted(ids)))
        connection.execute(_delete_attempts, bound((id_,) for id_ in sorted(ids)))


class OpenErasure(NamedTuple):
    """An erasure that a CRM has not done. `state`: pending or dead."""

    destination: str
    call: str
    state: DeliveryState
    remote_id: str | None
    code: str | None
    message: str | None


_open = (
    select(
        deliveries.c.destination,
        deliveries.c.call,
        deliveries.c.state,
        deliveries.c.remote_id,
        deliveries.c.code,
        deliveries.c.message,
    )
    .join(_ids, _ids.c.call == deliveries.c.call)
    .where(deliveries.c.erase.is_not(None))
    .order_by(deliveries.c.destination, deliveries.c.call)
)


def list_open_erasures(connection: Connection, ids: Collection[str]) -> list[OpenErasure]:
    """Return what CRMs have not erased yet of these calls."""
    found = connection.execute(_open, bound((id_,) for id_ in sorted(ids)))
    return [OpenErasure(name, id_, DeliveryState(state), *rest) for name, id_, state, *rest in found]
