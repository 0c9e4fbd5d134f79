"""Reading deliveries of any state, for people and for the fold."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import DeliveryRow
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls, deliveries

_by_call = (
    select(*(deliveries.c[name] for name in DeliveryRow.__struct_fields__))
    .where(deliveries.c.call == bindparam("call"))
    .order_by(deliveries.c.destination)
)


def list_for_call(connection: Connection, call: str) -> list[DeliveryRow]:
    """Return the deliveries of this call, by destination."""
    return [_delivery_row(row) for row in connection.execute(_by_call, {"call": call})]


_of_ids = rows_of(deliveries.c.call)
_states = (
    select(deliveries.c.call, deliveries.c.destination, deliveries.c.state)
    .join(_of_ids, _of_ids.c.call == deliveries.c.call)
    .order_by(deliveries.c.destination)
)


def states_of_calls(
    connection: Connection, ids: Collection[str]
) -> dict[str, list[tuple[str, DeliveryState]]]:
    """Return for each of these calls its destinations and the states of its deliveries, by destination."""
    states: dict[str, list[tuple[str, DeliveryState]]] = {}
    for call, destination, state in connection.execute(_states, bound((id_,) for id_ in sorted(ids))):
        states.setdefault(call, []).append((destination, DeliveryState(state)))
    return states


_keys = rows_of(deliveries.c.destination, deliveries.c.call)
_of_destination = select(*(deliveries.c[name] for name in DeliveryRow.__struct_fields__)).join(
    _keys, and_(_keys.c.destination == deliveries.c.destination, _keys.c.call == deliveries.c.call)
)


def get_many(connection: Connection, destination: str, ids: Iterable[str]) -> dict[str, DeliveryRow]:
    """Return the deliveries of these calls to this destination, by call; unknown ones are absent."""
    found = connection.execute(_of_destination, bound((destination, id_) for id_ in sorted(ids)))
    rows = map(_delivery_row, found)
    return {row.call: row for row in rows}


def _delivery_row(row: Sequence[Any]) -> DeliveryRow:
    destination, call, state, *rest = row
    return DeliveryRow(destination, call, DeliveryState(state), *rest)


_remote_ids = rows_of(deliveries.c.remote_id)
_owners = (
    select(deliveries.c.remote_id, deliveries.c.call)
    .join(_remote_ids, _remote_ids.c.remote_id == deliveries.c.remote_id)
    .where(deliveries.c.destination == bindparam("destination"))
)


def owners_of(connection: Connection, destination: str, ids: Collection[str]) -> dict[str, str]:
    """Return the call of each of these records of the destination; records of nobody are absent.

    It reads all deliveries of the destination: only for a few, which are rarely asked for.
    """
    parameters = bound((id_,) for id_ in sorted(ids)) | {"destination": destination}
    return dict(connection.execute(_owners, parameters).all())


_ids = rows_of(deliveries.c.call)
_first_delivered_at = (
    select(deliveries.c.call, func.min(deliveries.c.first_delivered_at))
    .join(_ids, _ids.c.call == deliveries.c.call)
    .where(deliveries.c.first_delivered_at.is_not(None))
    .group_by(deliveries.c.call)
)


def first_delivered_at(connection: Connection, ids: Collection[str]) -> dict[str, Instant]:
    """Return when a CRM first received each of these calls; calls that no CRM has are absent."""
    found = connection.execute(_first_delivered_at, bound((call,) for call in sorted(ids)))
    return dict(found.all())


# Deliveries of deleted calls stay with the tombstones, and are not counted.
_of_calls = deliveries.join(calls, calls.c.id == deliveries.c.call)
_other_renderings = (
    select(func.count())
    .select_from(_of_calls)
    .where(
        deliveries.c.destination == bindparam("destination"),
        deliveries.c.delivered_version > 0,
        deliveries.c.rendering.is_distinct_from(bindparam("rendering")),
        ~deliveries.c.rewrite,
    )
)


def count_other_renderings(connection: Connection, destination: str, rendering: str) -> int:
    """Count the records that the CRM has as other settings rendered them, and that no replay has enqueued."""
    parameters = {"destination": destination, "rendering": rendering}
    return int(connection.execute(_other_renderings, parameters).scalar_one())
