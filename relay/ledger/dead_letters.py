"""Dead letters: calls that a destination will not have, until a person decides."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from relay.call import Call
from relay.instants import Instant
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import calls, deliveries

_records = msgspec.json.Decoder(Call)
_DEAD = has_state(deliveries.c.state, DeliveryState.DEAD)


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that failed for good, with the newest version of its call.

    `attempts`, `outcome`, `code` and `message` are of the last attempts; `delivered_version` is the one
    that the CRM has (0: none).
    """

    call: Call
    destination: str
    version: int
    delivered_version: int
    attempts: int
    attempted_at: Instant
    outcome: str
    code: str | None
    message: str | None

    @property
    def key(self) -> tuple[str, str]:
        """(destination, id of the call)."""
        return self.destination, self.call.id


_dead = (
    select(
        calls.c.record,
        deliveries.c.destination,
        deliveries.c.version,
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.outcome,
        deliveries.c.code,
        deliveries.c.message,
    )
    .join(calls, calls.c.id == deliveries.c.call)
    .where(_DEAD)
    .order_by(deliveries.c.attempted_at.desc(), deliveries.c.call, deliveries.c.destination)
)
_wanted = rows_of(deliveries.c.call)
_dead_of = _dead.join(_wanted, _wanted.c.call == deliveries.c.call)


def find(
    connection: Connection, *, destination: str | None = None, ids: Collection[str] | None = None
) -> list[DeadLetter]:
    """Return the dead letters, the latest first; only of this destination and of these calls if given."""
    found, parameters = (
        (_dead, {}) if ids is None else (_dead_of, bound((call,) for call in sorted(set(ids))))
    )
    if destination is not None:
        found = found.where(deliveries.c.destination == destination)
    return [
        DeadLetter(_records.decode(record), *rest) for record, *rest in connection.execute(found, parameters)
    ]


_given = rows_of(deliveries.c.destination, deliveries.c.call)
_mark = update(deliveries).where(
    _DEAD, deliveries.c.destination == _given.c.destination, deliveries.c.call == _given.c.call
)
_now: Any = bindparam("now")
_replay = _mark.values(
    state=DeliveryState.PENDING, due_at=_now, pending_since=_now, attempts=0, failing_for=0
)
_drop = _mark.values(state=DeliveryState.DROPPED)


def replay(connection: Connection, letters: Collection[tuple[str, str]], *, now: int) -> None:
    """These letters (destination, call) are owed afresh, in the newest version of the call."""
    connection.execute(_replay, bound(sorted(letters)) | {"now": now})
    notify(connection)


def drop(connection: Connection, letters: Collection[tuple[str, str]]) -> None:
    """Give these letters up. News of the call is owed all the same."""
    connection.execute(_drop, bound(sorted(letters)))
