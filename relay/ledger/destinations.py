"""The destinations that calls are enqueued for, and their pauses.

A pause has a reason. An automatic pause ends at `paused_until`, when the worker tests the CRM with one call.
A pause by an operator has the reason `BY_OPERATOR` and no end; only an operator ends it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Update, and_, bindparam, func, insert, select, update

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import destinations

BY_OPERATOR: Final = "paused"
"""The reason of a pause by an operator."""

_not_paused_by_operator = destinations.c.paused_reason.is_distinct_from(BY_OPERATOR)
_paused_automatically = and_(_not_paused_by_operator, destinations.c.paused_reason.is_not(None))
_NO_PAUSE: Final = {
    "paused_reason": None,
    "paused_until": None,
    "paused_since": None,
    "paused_code": None,
    "paused_message": None,
}


class Pause(msgspec.Struct, frozen=True):
    """An automatic pause. `code` and `message` are those of the CRM."""

    reason: str
    seconds: float
    code: str | None
    message: str | None


class DestinationRow(msgspec.Struct, frozen=True):
    """A destination as it is stored.

    `delivered_at`: when it first took a call after its last failed attempt. It is compared with the times of
    failed attempts alone, so a later delivery changes nothing.
    `paused_reason` is None while it is not paused, `paused_until` also during a pause by an operator.
    `paused_since`: since when it has been paused without a break, for whatever reasons.
    `paused_code` and `paused_message` are those of the CRM.
    """

    name: str
    client: str
    delivered_at: Instant | None
    paused_reason: str | None
    paused_until: Instant | None
    paused_since: Instant | None
    paused_code: str | None
    paused_message: str | None


_all = select(*(destinations.c[name] for name in DestinationRow.__struct_fields__)).order_by(
    destinations.c.name
)
_by_name = _all.where(destinations.c.name == bindparam("name"))


def get(connection: Connection, name: str) -> DestinationRow:
    """Return the destination of this name. Raises `NoResultFound`."""
    return DestinationRow(*connection.execute(_by_name, {"name": name}).one())


def list_all(connection: Connection) -> list[DestinationRow]:
    """Return every destination that was ever registered, by name."""
    return [DestinationRow(*row) for row in connection.execute(_all)]


def register(connection: Connection, clients: Mapping[str, str]) -> None:
    """Add these destinations (name → client): calls are enqueued for them from now on.

    A row that needs no change is not written: another process may hold its lock, and a start of the relay
    must not wait for a process that hangs.
    """
    advisory_lock(connection, "destinations")
    known = {row.name: row.client for row in list_all(connection)}
    for name, client in clients.items():
        if name not in known:
            connection.execute(insert(destinations).values(name=name, client=client))
        elif client != known[name]:
            connection.execute(_update(name).values(client=client))


_set_delivered_at = (
    update(destinations)
    .where(destinations.c.name == bindparam("of_destination"))
    .values(delivered_at=bindparam("now"))
)


def set_delivered_at(connection: Connection, name: str, *, now: Instant) -> None:
    """Write that the destination took a call now, after a failed attempt."""
    connection.execute(_set_delivered_at, {"of_destination": name, "now": now})


def pause_until(connection: Connection, name: str, pause: Pause, *, until: Instant, now: Instant) -> None:
    """Start or prolong an automatic pause, unless an operator paused the destination."""
    values = {
        "paused_reason": pause.reason,
        "paused_until": until,
        "paused_since": func.coalesce(destinations.c.paused_since, now),
        "paused_code": pause.code,
        "paused_message": pause.message,
    }
    connection.execute(_update(name).where(_not_paused_by_operator).values(values))


def end_pause(connection: Connection, name: str) -> None:
    """End an automatic pause; a pause by an operator continues."""
    connection.execute(_update(name).where(_not_paused_by_operator).values(_NO_PAUSE))


def probe_now(connection: Connection, name: str, *, now: Instant) -> bool:
    """Let an automatic pause end now, and return whether there is one.

    A restart or new settings may have removed its cause.
    """
    statement = _update(name).where(_paused_automatically).values(paused_until=now)
    return connection.execute(statement).rowcount == 1


def pause(connection: Connection, name: str, *, now: Instant) -> None:
    """Pause the destination until an operator calls `resume`."""
    since = func.coalesce(destinations.c.paused_since, now)
    connection.execute(
        _update(name).values(_NO_PAUSE | {"paused_reason": BY_OPERATOR, "paused_since": since})
    )


def resume(connection: Connection, name: str) -> None:
    """End any pause."""
    connection.execute(_update(name).values(_NO_PAUSE))


def _update(name: str) -> Update:
    return update(destinations).where(destinations.c.name == name)
