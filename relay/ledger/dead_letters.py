"""Dead letters: calls that a destination will not have, until a person decides."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, literal_column, select, update

from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.tables import calls, deliveries

_DEAD = deliveries.c.state == literal_column("'dead'")
_dead = (
    select(
        deliveries.c.call,
        deliveries.c.destination,
        deliveries.c.version,
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.outcome,
        deliveries.c.code,
        deliveries.c.message,
        calls.c.record,
    )
    .join(calls, calls.c.id == deliveries.c.call)
    .where(_DEAD)
    .order_by(deliveries.c.attempted_at.desc(), deliveries.c.call, deliveries.c.destination)
)
_wanted = rows_of(deliveries.c.call)
_dead_of = _dead.join(_wanted, _wanted.c.call == deliveries.c.call)


def all_of(
    connection: Connection, *, destination: str | None = None, only: Collection[str] | None = None
) -> Sequence[Any]:
    """The dead letters, the latest first, of one destination or of all, of these calls or of all."""
    found, given = (_dead, {}) if only is None else (_dead_of, bound((call,) for call in sorted(set(only))))
    if destination is not None:
        found = found.where(deliveries.c.destination == destination)
    return connection.execute(found, given).all()


_given = rows_of(deliveries.c.destination, deliveries.c.call)
_mark = update(deliveries).where(
    _DEAD, deliveries.c.destination == _given.c.destination, deliveries.c.call == _given.c.call
)
_now: Any = bindparam("now")
_replay = _mark.values(state="pending", due_at=_now, pending_since=_now, attempts=0, failing_for=0)
_drop = _mark.values(state="dropped")


def replay(connection: Connection, letters: Collection[tuple[str, str]], *, now: int) -> None:
    """These letters (destination, call) are owed afresh, in the newest version of the call."""
    connection.execute(_replay, bound(sorted(letters)) | {"now": now})
    notify(connection)


def drop(connection: Connection, letters: Collection[tuple[str, str]]) -> None:
    """Give these letters up. News of the call is owed all the same."""
    connection.execute(_drop, bound(sorted(letters)))
