"""Dead letters: deliveries that failed for good and wait for a decision of a person."""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, delete, func, select, tuple_, update

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
    """A dead letter with the newest version of its call. Of a forgotten call that the CRM does not erase,
    `call` has little more than its id.

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
        func.coalesce(calls.c.record, deliveries.c.erase),
        deliveries.c.destination,
        deliveries.c.version,
        deliveries.c.delivered_version,
        deliveries.c.attempts,
        deliveries.c.attempted_at,
        deliveries.c.outcome,
        deliveries.c.code,
        deliveries.c.message,
    )
    .outerjoin(calls, calls.c.id == deliveries.c.call)
    .where(_is_dead, func.coalesce(calls.c.record, deliveries.c.erase).is_not(None))
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
_REPLAYED: Final[dict[str, Any]] = {
    "state": DeliveryState.PENDING,
    "due_at": _now,
    "pending_since": _now,
    "attempts": 0,
    "failing_for": 0,
}
_replay = _update.values(_REPLAYED)
_drop = _update.values(state=DeliveryState.DROPPED)
_of_forgotten_call = deliveries.c.erase.is_not(None)
_delete_erasures = delete(deliveries).where(
    _is_dead,
    _of_forgotten_call,
    tuple_(deliveries.c.destination, deliveries.c.call).in_(select(_keys.c.destination, _keys.c.call)),
)


def replay(connection: Connection, keys: Collection[tuple[str, str]], *, now: Instant) -> None:
    """Make these dead letters (destination, call) pending again; others are ignored."""
    connection.execute(_replay, bound(sorted(keys)) | {"now": now})
    notify(connection)


def drop(connection: Connection, keys: Collection[tuple[str, str]]) -> None:
    """Give up these dead letters (destination, call); a newer version of the call is delivered again. Of a
    forgotten call nothing stays.
    """
    connection.execute(_delete_erasures, bound(sorted(keys)))
    connection.execute(_drop, bound(sorted(keys)))


# --- groups ---------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Dead letters of one kind: those that a destination answered with the same outcome and code."""

    destination: str
    outcome: str | None
    code: str | None


class GroupCount(NamedTuple):
    """A group, the number of its dead letters, and when the latest of them failed."""

    group: Group
    members: int
    latest_at: Instant


_group = (deliveries.c.destination, deliveries.c.outcome, deliveries.c.code)
# From the index alone. Retention deletes no call that has a dead letter.
_groups = select(*_group, func.count(), func.max(deliveries.c.attempted_at)).where(_is_dead).group_by(*_group)
_in_group = and_(
    _is_dead,
    deliveries.c.destination == bindparam("of_destination"),
    deliveries.c.outcome.is_not_distinct_from(bindparam("of_outcome")),
    deliveries.c.code.is_not_distinct_from(bindparam("of_code")),
)
_latest = _all.where(_in_group).limit(bindparam("limit"))
_replay_group = update(deliveries).where(_in_group).values(_REPLAYED)
_drop_group = update(deliveries).where(_in_group).values(state=DeliveryState.DROPPED)
_delete_erasures_of_group = delete(deliveries).where(_in_group, _of_forgotten_call)


def count_groups(connection: Connection) -> list[GroupCount]:
    """Count the dead letters by their group, the largest group first."""
    found = [GroupCount(Group(*row[:3]), *row[3:]) for row in connection.execute(_groups)]
    return sorted(found, key=lambda each: (-each.members, *(part or "" for part in each.group)))


def find_latest(connection: Connection, group: Group, *, limit: int) -> list[DeadLetter]:
    """Return the dead letters of a group that failed last."""
    rows = connection.execute(_latest, _group_parameters(group) | {"limit": limit})
    return [DeadLetter(_decode_call(record), *rest) for record, *rest in rows]


def replay_group(connection: Connection, group: Group, *, now: Instant) -> int:
    """Make all dead letters of a group pending again, and return their number."""
    replayed = connection.execute(_replay_group, _group_parameters(group) | {"now": now}).rowcount
    notify(connection)
    return replayed


def drop_group(connection: Connection, group: Group) -> int:
    """Give up all dead letters of a group, and return their number."""
    parameters = _group_parameters(group)
    deleted = connection.execute(_delete_erasures_of_group, parameters).rowcount
    return deleted + connection.execute(_drop_group, parameters).rowcount


def _group_parameters(group: Group) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in group._asdict().items()}
