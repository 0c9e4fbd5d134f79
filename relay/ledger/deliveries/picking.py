"""Choosing the deliveries of one destination that its worker attempts next.

Nothing is written when a delivery is taken: the worker holds the lease of its destination, so it alone
knows which deliveries are under way (`busy`), and a worker that dies leaves nothing to undo.
"""

from collections.abc import Collection
from enum import Enum, auto
from typing import Any, Final

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, case, false, func, select, update

from relay.call import Call
from relay.instants import Duration, Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import EARLIEST_DUE, IS_HELD, IS_PENDING, DueDelivery
from relay.ledger.json_rows import ByteLength, bound, rows_of
from relay.ledger.tables import calls, deliveries

ANY_ATTEMPTS: Final = 2_147_483_647
"""The most attempts that the ledger can store."""

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""The records of a batch have at most so many bytes of JSON together, or it is one record. Python needs up to
four times as much for their texts, and a client the same for its request.
"""

_decode_call = msgspec.json.Decoder(Call).decode
_decode_field_versions = msgspec.json.Decoder(dict[str, int]).decode


class Pick(Enum):
    """Which deliveries come first."""

    FRESH = auto()
    """Those that became due last, so that a backlog does not delay current calls."""
    OLDEST = auto()
    PROBE = auto()
    """Any pending delivery to test a paused destination with, due or not, unless the CRM asked to wait with
    it; one that never failed first.
    """


_now: BindParameter[int] = bindparam("now")
_busy = rows_of(deliveries.c.call)
# A forgotten call has no row: its delivery has what is needed to erase it.
_record = func.coalesce(calls.c.record, deliveries.c.erase)
_size = ByteLength(_record)
_pending = (
    select(
        deliveries.c.call,
        _size,
        # Large records are read one by one, see `take_due`.
        case((_size <= bindparam("small"), _record)),
        func.coalesce(calls.c.field_versions, "{}"),
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.failing_for,
        deliveries.c.remote_id,
        deliveries.c.outcome,
        deliveries.c.rewrite,
        deliveries.c.rendering,
        deliveries.c.partial,
        func.coalesce(calls.c.changed_at, 0),
        func.coalesce(IS_HELD, false()),
        deliveries.c.erase.is_not(None),
    )
    .outerjoin(calls, calls.c.id == deliveries.c.call)
    .where(
        and_(
            deliveries.c.destination == bindparam("destination"),
            IS_PENDING,
            deliveries.c.call.not_in(select(_busy.c.call)),
            _record.is_not(None),
        )
    )
    .limit(bindparam("limit"))
)
_due = _pending.where(deliveries.c.due_at <= _now)
_take = {
    Pick.FRESH: _due.order_by(deliveries.c.due_at.desc()),
    Pick.OLDEST: _due.order_by(deliveries.c.due_at),
    Pick.PROBE: _pending.where(func.coalesce(deliveries.c.not_before, 0) <= _now).order_by(
        # A call that the CRM has is only looked up there, which proves less than a write.
        case((deliveries.c.delivered_version >= deliveries.c.version, 1), else_=0),
        case((deliveries.c.attempts > 0, 1), else_=0),
        # The longest not attempted first: otherwise one bad call could keep the destination paused.
        func.coalesce(deliveries.c.attempted_at, 0),
        deliveries.c.due_at,
    ),
}
_take_erasures = {pick: statement.where(deliveries.c.erase.is_not(None)) for pick, statement in _take.items()}


def take_due(
    connection: Connection,
    destination: str,
    pick: Pick,
    *,
    busy: Collection[str],
    now: Instant,
    limit: int,
    max_bytes: int = MAX_BATCH_BYTES,
    erasures_only: bool = False,
) -> list[DueDelivery]:
    """Return the next deliveries of this destination, without those of `busy` calls. `erasures_only`: those
    of forgotten calls.

    Their records have at most `max_bytes` together, or it is one delivery. One query reads the records that
    are small enough for all to fit. A larger one is read alone, if it fits.
    """
    parameters: dict[str, Any] = {"destination": destination, "limit": limit, "now": now}
    parameters |= bound((call,) for call in busy) | {"small": max_bytes // limit}
    due: list[DueDelivery] = []
    total = 0
    statement = (_take_erasures if erasures_only else _take)[pick]
    for call, size, record, *rest in connection.execute(statement, parameters):
        total += size
        if due and total > max_bytes:
            break
        due.append(_due_delivery(record or _read_record(connection, call), *rest))
    return due


_record_of_call = select(calls.c.record).where(calls.c.id == bindparam("call"))


def _read_record(connection: Connection, call: str) -> str:
    record: str = connection.execute(_record_of_call, {"call": call}).scalar_one()
    return record


def _due_delivery(record: str, field_versions: str, *rest: Any) -> DueDelivery:
    return DueDelivery(_decode_call(record), _decode_field_versions(field_versions), *rest)


_next_due_at = (
    select(deliveries.c.due_at)
    .where(
        deliveries.c.destination == bindparam("destination"),
        IS_PENDING,
        deliveries.c.call.not_in(select(_busy.c.call)),
    )
    .order_by(deliveries.c.due_at)
    .limit(1)
)


def next_due_at(connection: Connection, destination: str, *, busy: Collection[str]) -> Instant | None:
    """Return when the next delivery of this destination is due, without those of `busy` calls; None if no
    other is pending.
    """
    parameters = {"destination": destination} | bound((call,) for call in busy)
    due_at: Instant | None = connection.execute(_next_due_at, parameters).scalar()
    return due_at


_end_backoff = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        IS_PENDING,
        deliveries.c.due_at > _now,
        deliveries.c.attempts <= bindparam("max_attempts"),
    )
    .values(due_at=EARLIEST_DUE)
)


def end_backoff(
    connection: Connection, destination: str, *, now: Instant, max_attempts: int = ANY_ATTEMPTS
) -> None:
    """End the waits that the relay chose, as the CRM works again; a wait that the CRM asked for continues."""
    parameters = {"of_destination": destination, "now": now, "max_attempts": max_attempts}
    connection.execute(_end_backoff, parameters)


_make_due_now = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        IS_PENDING,
        deliveries.c.due_at > bindparam("after"),
    )
    .values(
        due_at=_now,
        not_before=None,
        pending_since=case((IS_HELD, _now), else_=deliveries.c.pending_since),
    )
)


def make_due_now(connection: Connection, destination: str, *, now: Instant, min_delay: Duration) -> None:
    """End each wait that is longer than the longest possible one, `min_delay`: the clock was set back."""
    parameters = {"of_destination": destination, "now": now, "after": now + min_delay}
    connection.execute(_make_due_now, parameters)
