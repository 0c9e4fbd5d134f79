"""Dead letters: deliveries that failed for good and wait for a decision of a person."""

from collections.abc import Collection

import msgspec
from sqlalchemy import BindParameter, bindparam, select, update

from relay.call import Call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import calls, deliveries

_decode_call = msgspec.json.Decoder(Call).decode
_is_dead = has_state(deliveries.c.state, DeliveryState.DEAD)


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter with the newest version of its call.

    `delivered_version` is the one that the CRM has (0: none); `outcome`, `code` and `message` are those of
    the last attempt.
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


_all = (
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
    .where(_is_dead)
    .order_by(deliveries.c.attempted_at.desc(), deliveries.c.call, deliveries.c.destination)
)
_ids = rows_of(deliveries.c.call)
_by_call = _all.join(_ids, _ids.c.call == deliveries.c.call)


def find(
    connection: Connection, *, destination: str | None = None, ids: Collection[str] | None = None
) -> list[DeadLetter]:
    """Return the dead letters, the latest first; if given, only of this destination and of these calls."""
    statement, parameters = _all, dict[str, str]()
    if ids is not None:
        statement, parameters = _by_call, bound((call,) for call in sorted(set(ids)))
    if destination is not None:
        statement = statement.where(deliveries.c.destination == destination)
    return [
        DeadLetter(_decode_call(record), *rest) for record, *rest in connection.execute(statement, parameters)
    ]


_keys = rows_of(deliveries.c.destination, deliveries.c.call)
_update = update(deliveries).where(
    _is_dead, deliveries.c.destination == _keys.c.destination, deliveries.c.call == _keys.c.call
)
_now: BindParameter[int] = bindparam("now")
_replay = _update.values(
    state=DeliveryState.PENDING, due_at=_now, pending_since=_now, attempts=0, failing_for=0
)
_drop = _update.values(state=DeliveryState.DROPPED)


def replay(connection: Connection, keys: Collection[tuple[str, str]], *, now: Instant) -> None:
    """Make these dead letters (destination, call) pending again; others are ignored."""
    connection.execute(_replay, bound(sorted(keys)) | {"now": now})
    notify(connection)


def drop(connection: Connection, keys: Collection[tuple[str, str]]) -> None:
    """Give up these dead letters (destination, call); a newer version of the call is delivered again."""
    connection.execute(_drop, bound(sorted(keys)))
