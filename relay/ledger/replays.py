"""Owing calls again: to a new destination its history, to one whose filter changed what it lets pass now."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from relay.call import Call
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, has_state, sql_state
from relay.ledger.tables import calls, deliveries

_records = msgspec.json.Decoder(Call)
_LIVING = calls.c.merged_into.is_(None)
_EVER: Final = 2**62


class PageCursor(msgspec.Struct, frozen=True):
    """A place in the order of the calls' beginnings, in microseconds since 1970; calls that began at
    once are in the order of their ids.
    """

    began_at: int = 0
    id: str = ""


_after = tuple_(bindparam("after_at", type_=BigInteger), bindparam("after_id", type_=Text))
_between = (_LIVING, calls.c.began_at < bindparam("until"), tuple_(calls.c.began_at, calls.c.id) > _after)
_page = (
    select(calls.c.began_at, calls.c.id, calls.c.record)
    .where(*_between)
    .order_by(calls.c.began_at, calls.c.id)
    .limit(bindparam("limit"))
)
_count = select(func.count()).select_from(calls).where(*_between)


def list_page(
    connection: Connection, after: PageCursor, *, until: int | None, limit: int
) -> tuple[list[Call], PageCursor | None]:
    """The next calls, those that began first first, and the place after which to go on; None at the end.

    Those that went into other calls are left out: they are records no more. `until` is not included.
    """
    found: list[Call] = []
    following = after
    for began_at, id_, record in connection.execute(_page, _given(after, until) | {"limit": limit}):
        found.append(_records.decode(record))
        following = PageCursor(began_at, id_)
    return found, following if len(found) == limit else None


def count(connection: Connection, after: PageCursor, *, until: int | None) -> int:
    """How many calls there are on all these pages."""
    return connection.execute(_count, _given(after, until)).scalar_one()


def _given(after: PageCursor, until: int | None) -> dict[str, Any]:
    return {"after_at": after.began_at, "after_id": after.id, "until": _EVER if until is None else until}


_given_marks = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.version)
_now: Any = bindparam("now", type_=BigInteger)
_owe_known = (
    update(deliveries)
    .where(deliveries.c.destination == _given_marks.c.destination, deliveries.c.call == _given_marks.c.call)
    .values(
        version=_given_marks.c.version,
        state=DeliveryState.PENDING,
        pending_since=case(
            (has_state(deliveries.c.state, DeliveryState.PENDING), deliveries.c.pending_since), else_=_now
        ),
        due_at=_now,
        attempts=0,
        failing_for=0,
    )
)
_columns = (
    "destination",
    "call",
    "version",
    "state",
    "delivered_version",
    "pending_since",
    "due_at",
    "attempts",
    "failing_for",
)
_owe_new = (
    insert(deliveries)
    .from_select(
        _columns,
        # SQLite would take what follows for a part of a join.
        select(
            _given_marks, sql_state(DeliveryState.PENDING), literal(0), _now, _now, literal(0), literal(0)
        ).where(literal_column("1") == literal_column("1")),
    )
    .on_conflict_do_nothing()
)


def enqueue(
    connection: Connection, destination: str, versions: Sequence[tuple[str, int]], *, now: int
) -> None:
    """This destination is owed these versions of these calls at once, whether it has them or not.

    Call it with the fold's lease proven: the fold makes marks too, and newer versions.
    """
    rows = bound((destination, call, version) for call, version in sorted(versions)) | {"now": now}
    connection.execute(_owe_known, rows)
    connection.execute(_owe_new, rows)
    notify(connection)
