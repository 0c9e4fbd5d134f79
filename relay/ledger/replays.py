"""Replaying calls to one destination: paging through all calls, and making them pending again."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Text,
    bindparam,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from relay.call import Call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.deliveries.rows import KEEPS_SCHEDULE
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, sql_state
from relay.ledger.tables import calls, deliveries

_decode_call = msgspec.json.Decoder(Call).decode
_LAST: Final = Instant(2**62)


class PageCursor(msgspec.Struct, frozen=True):
    """A place in the order of the calls, which is by start and then by id."""

    began_at: Instant = Instant(0)
    id: str = ""


_after = tuple_(bindparam("after_at", type_=BigInteger), bindparam("after_id", type_=Text))
_conditions = (
    calls.c.merged_into.is_(None),
    calls.c.began_at < bindparam("until"),
    tuple_(calls.c.began_at, calls.c.id) > _after,
)
_page = (
    select(calls.c.began_at, calls.c.id, calls.c.record)
    .where(*_conditions)
    .order_by(calls.c.began_at, calls.c.id)
    .limit(bindparam("limit"))
)
_count = select(func.count()).select_from(calls).where(*_conditions)


def list_page(
    connection: Connection, after: PageCursor, *, until: Instant | None, limit: int
) -> tuple[list[Call], PageCursor | None]:
    """Return the next calls that began before `until`, and the cursor for the next page (None: the last).

    Calls that were merged into another are left out.
    """
    page: list[Call] = []
    cursor = after
    for began_at, id_, record in connection.execute(_page, _parameters(after, until) | {"limit": limit}):
        page.append(_decode_call(record))
        cursor = PageCursor(began_at, id_)
    return page, cursor if len(page) == limit else None


def count(connection: Connection, after: PageCursor, *, until: Instant | None) -> int:
    """Return the number of calls on all pages after the cursor."""
    number: int = connection.execute(_count, _parameters(after, until)).scalar_one()
    return number


def _parameters(after: PageCursor, until: Instant | None) -> dict[str, Any]:
    return {"after_at": after.began_at, "after_id": after.id, "until": _LAST if until is None else until}


_now: BindParameter[int] = bindparam("now", type_=BigInteger)
_versions = rows_of(deliveries.c.destination, deliveries.c.call, deliveries.c.version)
_requeue_known = (
    update(deliveries)
    .where(deliveries.c.destination == _versions.c.destination, deliveries.c.call == _versions.c.call)
    .values(
        version=_versions.c.version,
        state=DeliveryState.PENDING,
        pending_since=case((KEEPS_SCHEDULE, deliveries.c.pending_since), else_=_now),
        due_at=_now,
        not_before=None,
        attempts=0,
        failing_for=0,
        rewrite=or_(deliveries.c.rewrite, bindparam("whole", type_=Boolean)),
        restored=false(),
    )
)
_insert_new = (
    insert(deliveries)
    .from_select(
        [
            "destination",
            "call",
            "version",
            "state",
            "delivered_version",
            "pending_since",
            "due_at",
            "attempts",
            "failing_for",
        ],
        select(_versions, sql_state(DeliveryState.PENDING), literal(0), _now, _now, literal(0), literal(0))
        # Without a WHERE, SQLite reads ON CONFLICT as a part of a join.
        .where(literal_column("1") == literal_column("1")),
    )
    .on_conflict_do_nothing()
)


def enqueue(
    connection: Connection,
    destination: str,
    versions: Sequence[tuple[str, int]],
    *,
    now: Instant,
    rewrite: bool = False,
) -> None:
    """Make these calls, each as (id, version), due now at this destination, whatever their state.

    `rewrite`: the whole record is written, also if the CRM has this version.

    The caller must hold the lease of the fold, which writes versions and deliveries too.
    """
    rows = bound((destination, call, version) for call, version in sorted(versions)) | {"now": now}
    connection.execute(_requeue_known, rows | {"whole": rewrite})
    connection.execute(_insert_new, rows)
    notify(connection)


_restored = rows_of(deliveries.c.destination, deliveries.c.call)
_mark_restored = (
    update(deliveries)
    .where(deliveries.c.destination == _restored.c.destination, deliveries.c.call == _restored.c.call)
    .values(restored=true())
)


def mark_restored(connection: Connection, destination: str, ids: Iterable[str]) -> None:
    """Remember that the CRM had lost the records of these calls, and that an audit enqueued them again. If
    one is missing once more, a person has removed it. A later replay forgets it: a person wants the record.
    """
    connection.execute(_mark_restored, bound((destination, id_) for id_ in sorted(ids)))
