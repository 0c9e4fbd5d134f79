"""What each destination is owed of each call: marks, not messages.

A mark says which version a destination is owed and which it has. However many events a call saw
meanwhile, there is one mark and one push of the newest version.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)

from relay.call import Call
from relay.ledger.rows import bound, rows_of
from relay.ledger.tables import calls, deliveries, destinations

_records = msgspec.json.Decoder(Call)
_changes = msgspec.json.Decoder(dict[str, int])
_OWED = deliveries.c.state == literal_column("'owed'")


class Due(msgspec.Struct, frozen=True):
    """A mark that is due, with the newest version of its call."""

    call: Call
    changed: dict[str, int]
    delivered_version: int
    attempts: int
    attempted_at: int | None
    failing_for: int
    remote_id: str | None


class Settlement(msgspec.Struct, frozen=True):
    """What a push made of a mark. `version` is the one pushed: a mark moved on meanwhile stays owed."""

    call: str
    version: int
    state: str
    delivered_version: int
    due_at: int
    attempts: int
    attempted_at: int
    failing_for: int
    remote_id: str | None
    outcome: str
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
        state="owed",
        # A call in back-off stays in it; a dead one is owed afresh.
        owed_since=case((_OWED, deliveries.c.owed_since), else_=_now),
        due_at=case((_OWED, deliveries.c.due_at), else_=_now),
        attempts=case((_OWED, deliveries.c.attempts), else_=0),
        failing_for=case((_OWED, deliveries.c.failing_for), else_=0),
    )
)
_other = deliveries.alias("other")
_mark_new = insert(deliveries).from_select(
    [
        "destination",
        "call",
        "state",
        "version",
        "delivered_version",
        "owed_since",
        "due_at",
        "attempts",
        "failing_for",
    ],
    select(
        destinations.c.name,
        _marked.c.call,
        literal("owed"),
        _marked.c.version,
        literal(0),
        _now,
        _now,
        literal(0),
        literal(0),
    )
    .select_from(_marked.join(destinations, literal_column("1") == literal_column("1")))
    .where(
        ~select(literal(1))
        .where(_other.c.destination == destinations.c.name, _other.c.call == _marked.c.call)
        .exists()
    ),
)


def mark(connection: Connection, versions: Sequence[tuple[str, int]], *, now: int) -> None:
    """Every destination is owed these versions of these calls."""
    mark_known(connection, versions, now=now)
    connection.execute(_mark_new, bound(versions) | {"now": now})


def mark_known(connection: Connection, versions: Sequence[tuple[str, int]], *, now: int) -> None:
    """Those destinations that these calls were ever owed to are owed these versions."""
    connection.execute(_mark_known, bound(versions) | {"now": now})


# --- taking -----------------------------------------------------------------------------------

_busy = rows_of(deliveries.c.call)
_ready = and_(
    deliveries.c.destination == bindparam("destination"),
    _OWED,
    deliveries.c.due_at <= _now,
    deliveries.c.call.not_in(select(_busy.c.call)),
)
_due = (
    select(
        calls.c.record,
        calls.c.changed,
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.failing_for,
        deliveries.c.remote_id,
    )
    .join(calls, calls.c.id == deliveries.c.call)
    .where(_ready)
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most"))
)


def due(connection: Connection, destination: str, *, busy: Collection[str], now: int, most: int) -> list[Due]:
    """The marks of this destination that are due, longest due first, but for those under way."""
    given = bound((call,) for call in busy) | {"destination": destination, "now": now, "most": most}
    return [_due_row(row) for row in connection.execute(_due, given)]


def _due_row(row: Any) -> Due:
    record, changed, *rest = row
    return Due(_records.decode(record), _changes.decode(changed), *rest)


_next_due = select(func.min(deliveries.c.due_at)).where(
    deliveries.c.destination == bindparam("destination"), _OWED
)


def next_due(connection: Connection, destination: str) -> int | None:
    """When the next mark of this destination is due; None while it is owed nothing."""
    found: int | None = connection.execute(_next_due, {"destination": destination}).scalar()
    return found


# --- settling ---------------------------------------------------------------------------------

# The destination stands in each row: given once beside them, SQLite would read all of its marks.
_settled = rows_of(deliveries.c.destination, *(deliveries.c[name] for name in Settlement.__struct_fields__))
_moved_on = deliveries.c.version > _settled.c.version
# What came meanwhile is owed, and owes nothing to the schedule of a version delivered or given up.
_afresh = and_(_moved_on, _settled.c.state != literal_column("'owed'"))
_settle = (
    update(deliveries)
    .where(deliveries.c.destination == _settled.c.destination, deliveries.c.call == _settled.c.call)
    .values(
        state=case((_moved_on, literal("owed")), else_=_settled.c.state),
        due_at=case((_afresh, _now), else_=_settled.c.due_at),
        owed_since=case((_afresh, _now), else_=deliveries.c.owed_since),
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


def settle(connection: Connection, destination: str, settlements: Sequence[Settlement], *, now: int) -> None:
    """Write what the pushes made of these marks. Call it with the courier's lease proven."""
    rows = sorted(settlements, key=lambda settlement: settlement.call)
    given = bound((destination, *msgspec.structs.astuple(row)) for row in rows)
    connection.execute(_settle, given | {"now": now})
    if any(row.outcome == "delivered" for row in rows):
        connection.execute(_touch, {"of_destination": destination, "now": now})


_wanted = rows_of(deliveries.c.call)
_first_delivered = (
    select(deliveries.c.call, func.min(deliveries.c.first_delivered_at).label("at"))
    .join(_wanted, _wanted.c.call == deliveries.c.call)
    .where(deliveries.c.first_delivered_at.is_not(None))
    .group_by(deliveries.c.call)
)


def first_delivered(connection: Connection, wanted: Collection[str]) -> dict[str, int]:
    """When a CRM first had each of these calls; those that none has are left out."""
    found = connection.execute(_first_delivered, bound((call,) for call in sorted(wanted)))
    return {row.call: row.at for row in found}


# --- looking ----------------------------------------------------------------------------------


def of_call(connection: Connection, call: str) -> Sequence[Any]:
    """What each destination has, and is owed, of this call."""
    found = select(deliveries).where(deliveries.c.call == call).order_by(deliveries.c.destination)
    return connection.execute(found).all()


class Tally(msgspec.Struct, frozen=True):
    """How a destination stands. `oldest_owed_since` is empty while nothing is owed."""

    owed: int = 0
    delivered: int = 0
    dead: int = 0
    oldest_owed_since: int | None = None


_tallies = select(
    deliveries.c.destination,
    *(
        func.sum(case((deliveries.c.state == state, 1), else_=0)).label(state)
        for state in ("owed", "delivered", "dead")
    ),
    func.min(case((_OWED, deliveries.c.owed_since), else_=null())).label("oldest"),
).group_by(deliveries.c.destination)


def tallies(connection: Connection) -> dict[str, Tally]:
    """How each destination stands, by name."""
    return {
        row.destination: Tally(int(row.owed), int(row.delivered), int(row.dead), row.oldest)
        for row in connection.execute(_tallies)
    }
