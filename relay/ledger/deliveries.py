"""What each destination is owed of each call: marks, not messages.

A mark says which version a destination is owed and which it has. However many events a call saw
meanwhile, there is one mark and one push of the newest version.
"""

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from relay.call import Call
from relay.instants import Duration, Instant
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, has_state, sql_state
from relay.ledger.tables import calls, deliveries, destinations

_records = msgspec.json.Decoder(Call)
_field_versions = msgspec.json.Decoder(dict[str, int])
_PENDING = has_state(deliveries.c.state, DeliveryState.PENDING)
ANY_ATTEMPTS: Final = 2**31 - 1
"""More attempts than any mark has seen."""


class Pick(Enum):
    """Whose turn it is. Fresh marks go first, so that a backlog does not hold up what happens now."""

    FRESH = auto()
    OLDEST = auto()
    PROBE = auto()
    """One mark to try a destination that waits: due or not, rather one that never failed."""


class DueDelivery(msgspec.Struct, frozen=True):
    """A mark that is due, with the newest version of its call. `outcome`: of the last attempt."""

    call: Call
    field_versions: dict[str, int]
    delivered_version: int
    attempts: int
    attempted_at: int | None
    failing_for: int
    remote_id: str | None
    outcome: str | None


class DeliveryUpdate(msgspec.Struct, frozen=True):
    """What a push made of a mark. `version` is the one pushed: a mark moved on meanwhile stays owed."""

    call: str
    version: int
    state: DeliveryState
    delivered_version: int
    due_at: int
    attempts: int
    attempted_at: int | None
    failing_for: int
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None


# --- marking ----------------------------------------------------------------------------------

_marked = rows_of(deliveries.c.call, deliveries.c.version)
_now: Any = bindparam("now")
_mark_known = (
    update(deliveries)
    .where(deliveries.c.call == _marked.c.call)
    .values(
        version=_marked.c.version,
        state=DeliveryState.PENDING,
        # A call in back-off stays in it; a dead one is owed afresh.
        pending_since=case((_PENDING, deliveries.c.pending_since), else_=_now),
        due_at=case((_PENDING, deliveries.c.due_at), else_=_now),
        attempts=case((_PENDING, deliveries.c.attempts), else_=0),
        failing_for=case((_PENDING, deliveries.c.failing_for), else_=0),
    )
)
_mark_new = (
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
            _marked.c.call,
            sql_state(DeliveryState.PENDING),
            _marked.c.version,
            literal(0),
            _now,
            _now,
            literal(0),
            literal(0),
        )
        .select_from(_marked.join(destinations, literal_column("1") == literal_column("1")))
        # SQLite would take what follows for a part of the join.
        .where(literal_column("1") == literal_column("1")),
    )
    .on_conflict_do_nothing()
)


def enqueue(connection: Connection, versions: Sequence[tuple[str, int]], *, now: int) -> None:
    """Make these versions of these calls pending for every destination, and wake the delivery workers."""
    rows = bound(versions) | {"now": now}
    connection.execute(_mark_known, rows)
    connection.execute(_mark_new, rows)
    if versions:
        notify(connection)


# --- taking -----------------------------------------------------------------------------------

_busy = rows_of(deliveries.c.call)
_pending_for = and_(
    deliveries.c.destination == bindparam("destination"),
    _PENDING,
    deliveries.c.call.not_in(select(_busy.c.call)),
)
_marks = (
    select(
        calls.c.record,
        calls.c.field_versions,
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.failing_for,
        deliveries.c.remote_id,
        deliveries.c.outcome,
    )
    .join(calls, calls.c.id == deliveries.c.call)
    .where(_pending_for)
    .limit(bindparam("limit"))
)
_due_now = _marks.where(deliveries.c.due_at <= _now)
_due = {
    Pick.FRESH: _due_now.order_by(deliveries.c.due_at.desc()),
    Pick.OLDEST: _due_now.order_by(deliveries.c.due_at),
    # Whatever waits for its own next attempt may be tried: the destination is, not the call. Each in its
    # turn, so that no single one can keep the destination closed. What the CRM has would only be looked for.
    Pick.PROBE: _marks.order_by(
        case((deliveries.c.delivered_version >= deliveries.c.version, 1), else_=0),
        case((deliveries.c.attempts > 0, 1), else_=0),
        func.coalesce(deliveries.c.attempted_at, 0),
        deliveries.c.due_at,
    ),
}


def take_due(
    connection: Connection, destination: str, turn: Pick, *, busy: Collection[str], now: int, limit: int
) -> list[DueDelivery]:
    """Marks of this destination whose turn it is, but for those under way."""
    given = bound((call,) for call in busy) | {"destination": destination, "limit": limit}
    if turn is not Pick.PROBE:
        given["now"] = now
    return [_due_row(row) for row in connection.execute(_due[turn], given)]


def _due_row(row: Sequence[Any]) -> DueDelivery:
    record, field_versions, *rest = row
    return DueDelivery(_records.decode(record), _field_versions.decode(field_versions), *rest)


_next_due = select(func.min(deliveries.c.due_at)).where(
    deliveries.c.destination == bindparam("destination"), _PENDING
)


def next_due_at(connection: Connection, destination: str) -> int | None:
    """When the next mark of this destination is due; None while it is owed nothing."""
    found: int | None = connection.execute(_next_due, {"destination": destination}).scalar()
    return found


_bring_forward = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        _PENDING,
        deliveries.c.due_at > bindparam("after"),
        deliveries.c.attempts <= bindparam("tried"),
    )
    .values(due_at=_now)
)


def make_due_now(
    connection: Connection, destination: str, *, now: int, beyond: int = 0, tried: int = ANY_ATTEMPTS
) -> None:
    """What would be due more than `beyond` microseconds from now is due now, unless it was tried more often
    than that.

    No wait is as long as that: the clock was set back. Or the CRM is back, and nothing need wait.
    """
    given = {"of_destination": destination, "now": now, "after": now + beyond, "tried": tried}
    connection.execute(_bring_forward, given)


# --- settling ---------------------------------------------------------------------------------

# The destination stands in each row: given once beside them, SQLite would read all of its marks.
_settled = rows_of(
    deliveries.c.destination, *(deliveries.c[name] for name in DeliveryUpdate.__struct_fields__)
)
_moved_on = deliveries.c.version > _settled.c.version
# What came meanwhile is owed, and owes nothing to the schedule of a version delivered or given up.
_afresh = and_(_moved_on, _settled.c.state != sql_state(DeliveryState.PENDING))
_settle = (
    update(deliveries)
    .where(deliveries.c.destination == _settled.c.destination, deliveries.c.call == _settled.c.call)
    .values(
        state=case((_moved_on, sql_state(DeliveryState.PENDING)), else_=_settled.c.state),
        due_at=case((_afresh, _now), else_=_settled.c.due_at),
        pending_since=case((_afresh, _now), else_=deliveries.c.pending_since),
        attempts=case((_afresh, 0), else_=_settled.c.attempts),
        failing_for=case((_afresh, 0), else_=_settled.c.failing_for),
        first_delivered_at=case(
            (and_(deliveries.c.first_delivered_at.is_(None), _settled.c.delivered_version > 0), _now),
            else_=deliveries.c.first_delivered_at,
        ),
        **{
            name: _settled.c[name]
            for name in ("delivered_version", "attempted_at", "remote_id", "outcome", "code", "message")
        },
    )
)
_touch = (
    update(destinations).where(destinations.c.name == bindparam("of_destination")).values(delivered_at=_now)
)


def settle(
    connection: Connection, destination: str, settlements: Sequence[DeliveryUpdate], *, now: int
) -> None:
    """Write what the pushes made of these marks. Call it with the courier's lease proven."""
    rows = sorted(settlements, key=lambda settlement: settlement.call)
    given = bound((destination, *msgspec.structs.astuple(row)) for row in rows)
    connection.execute(_settle, given | {"now": now})
    if any(row.outcome == "delivered" for row in rows):
        connection.execute(_touch, {"of_destination": destination, "now": now})


_pushed = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.delivered_version)
_owe_again = (
    update(deliveries)
    .where(deliveries.c.destination == _pushed.c.destination, deliveries.c.call == _pushed.c.call)
    .values(
        state=DeliveryState.PENDING,
        due_at=_now,
        pending_since=case((_PENDING, deliveries.c.pending_since), else_=_now),
        delivered_version=case(
            (deliveries.c.delivered_version > _pushed.c.delivered_version, _pushed.c.delivered_version),
            else_=deliveries.c.delivered_version,
        ),
    )
)


def requeue_after_lost_lease(
    connection: Connection, destination: str, pushed: Sequence[tuple[str, int]], *, now: int
) -> None:
    """These calls were pushed by one who was no courier any more: its writes may have come after those of
    its successor. What changed since the version that it knew to be delivered is brought once more.
    """
    given = bound((destination, call, version) for call, version in sorted(pushed))
    connection.execute(_owe_again, given | {"now": now})


_in_a_row = (
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
_revive = (
    update(deliveries)
    .where(
        deliveries.c.destination == bindparam("of_destination"),
        deliveries.c.call.in_(_in_a_row.scalar_subquery()),
    )
    .values(state=DeliveryState.PENDING, due_at=_now, pending_since=_now, attempts=0, failing_for=0)
)


def requeue_rejected_run(connection: Connection, destination: str, code: str, *, least: int, now: int) -> int:
    """How many calls were rejected with this code since the destination last took one, if that is `least`
    or more: then it was not they who were at fault, and they are owed again. Else 0.
    """
    given = {"of_destination": destination, "of_code": code}
    rejected = len(connection.execute(_in_a_row, given).all())
    if rejected < least:
        return 0
    connection.execute(_revive, given | {"now": now})
    return rejected


_wanted = rows_of(deliveries.c.call)
_first_delivered = (
    select(deliveries.c.call, func.min(deliveries.c.first_delivered_at))
    .join(_wanted, _wanted.c.call == deliveries.c.call)
    .where(deliveries.c.first_delivered_at.is_not(None))
    .group_by(deliveries.c.call)
)


def first_delivered_at(connection: Connection, ids: Collection[str]) -> dict[str, Instant]:
    """When a CRM first had each of these calls; those that none has are left out."""
    found = connection.execute(_first_delivered, bound((call,) for call in sorted(ids)))
    return dict(found.all())


# --- looking ----------------------------------------------------------------------------------


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery: one call at one destination.

    `version` is the newest one that was enqueued, `delivered_version` the one that the CRM has (0: none).
    `attempts` were made since it became pending; `failing_for` is the part of that time, in microseconds,
    in which the destination took other calls.
    """

    destination: str
    call: str
    state: DeliveryState
    version: int
    delivered_version: int
    first_delivered_at: Instant | None
    pending_since: Instant
    due_at: Instant
    attempts: int
    attempted_at: Instant | None
    failing_for: Duration
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None


_by_call = (
    select(*(deliveries.c[name] for name in DeliveryRow.__struct_fields__))
    .where(deliveries.c.call == bindparam("call"))
    .order_by(deliveries.c.destination)
)


def list_for_call(connection: Connection, call: str) -> list[DeliveryRow]:
    """Return the deliveries of this call, by destination."""
    return [_delivery_row(row) for row in connection.execute(_by_call, {"call": call})]


def _delivery_row(row: Sequence[Any]) -> DeliveryRow:
    destination, call, state, *rest = row
    return DeliveryRow(destination, call, DeliveryState(state), *rest)


class DeliveryCounts(msgspec.Struct, frozen=True):
    """How a destination stands. `oldest_pending_since` is empty while nothing is owed."""

    pending: int = 0
    delivered: int = 0
    dead: int = 0
    oldest_pending_since: Instant | None = None


def _number_in(state: DeliveryState) -> ColumnElement[int]:
    return func.sum(case((has_state(deliveries.c.state, state), 1), else_=0))


_tallies = select(
    deliveries.c.destination,
    _number_in(DeliveryState.PENDING),
    _number_in(DeliveryState.DELIVERED),
    _number_in(DeliveryState.DEAD),
    func.min(case((_PENDING, deliveries.c.pending_since), else_=null())),
).group_by(deliveries.c.destination)


def counts_by_destination(connection: Connection) -> dict[str, DeliveryCounts]:
    """How each destination stands, by name."""
    return {
        destination: DeliveryCounts(int(pending), int(delivered), int(dead), oldest)
        for destination, pending, delivered, dead, oldest in connection.execute(_tallies)
    }
