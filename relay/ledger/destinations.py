"""The destinations that calls are owed to, and why one waits.

A destination *waits* until an instant, for a reason of its own; it is *paused* without an end while a
person says so. Nothing but a person ends a pause.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, Update, and_, bindparam, insert, select, update

from relay.instants import Instant
from relay.ledger.locks import advisory_lock
from relay.ledger.tables import destinations

BY_OPERATOR: Final = "paused"
"""The reason while a person says so."""

_NOT_PAUSED: Final = destinations.c.paused_reason.is_distinct_from(BY_OPERATOR)
_WAITS: Final = and_(_NOT_PAUSED, destinations.c.paused_reason.is_not(None))
_IN_PEACE: Final = {"paused_reason": None, "paused_until": None, "paused_code": None, "paused_message": None}


class Pause(msgspec.Struct, frozen=True):
    """Why a destination waits, and for how many seconds. `code` and `message` are the CRM's."""

    reason: str
    seconds: float
    code: str | None
    message: str | None


class DestinationRow(msgspec.Struct, frozen=True):
    """A destination that calls were ever enqueued for.

    `delivered_at`: when it last took a call. `paused_reason` is None while it is served; `paused_until`
    is None while an operator pauses it. `paused_code` and `paused_message` are the CRM's.
    """

    name: str
    client: str
    delivered_at: Instant | None
    paused_reason: str | None
    paused_until: Instant | None
    paused_code: str | None
    paused_message: str | None


def register(connection: Connection, clients: Mapping[str, str]) -> None:
    """Owe calls to these destinations (name → client) from now on.

    What stands there already is left alone: another relay may hold its row, and a start must not wait for one
    that hangs.
    """
    advisory_lock(connection, "destinations")
    known = {row.name: row.client for row in list_all(connection)}
    for name, client in clients.items():
        if name not in known:
            connection.execute(insert(destinations).values(name=name, client=client))
        elif client != known[name]:
            connection.execute(_update(name).values(client=client))


def pause_until(connection: Connection, name: str, pause: Pause, *, until: int) -> None:
    """The destination waits until then; no call's attempts are spent meanwhile."""
    values = {
        "paused_reason": pause.reason,
        "paused_until": until,
        "paused_code": pause.code,
        "paused_message": pause.message,
    }
    connection.execute(_update(name).where(_NOT_PAUSED).values(values))


def end_pause(connection: Connection, name: str) -> None:
    """The destination waits no more; a pause stays."""
    connection.execute(_update(name).where(_NOT_PAUSED).values(_IN_PEACE))


def probe_all_now(connection: Connection, *, now: int) -> None:
    """What made them wait may have been mended, as the settings were: each is tried at once."""
    connection.execute(update(destinations).where(_WAITS).values(paused_until=now))


def probe_now(connection: Connection, name: str, *, now: int) -> bool:
    """One that waits is tried at once; whether it waited."""
    return connection.execute(_update(name).where(_WAITS).values(paused_until=now)).rowcount == 1


def pause(connection: Connection, name: str) -> None:
    """Nothing is brought there until a person says otherwise."""
    connection.execute(_update(name).values(_IN_PEACE | {"paused_reason": BY_OPERATOR}))


def resume(connection: Connection, name: str) -> None:
    """Whatever it waited for, it is served again."""
    connection.execute(_update(name).values(_IN_PEACE))


_all = select(*(destinations.c[name] for name in DestinationRow.__struct_fields__)).order_by(
    destinations.c.name
)
_by_name = _all.where(destinations.c.name == bindparam("name"))


def get(connection: Connection, name: str) -> DestinationRow:
    """Return the destination of this name. Raises `NoResultFound`."""
    return DestinationRow(*connection.execute(_by_name, {"name": name}).one())


def list_all(connection: Connection) -> list[DestinationRow]:
    """Return every destination that calls were ever enqueued for, by name."""
    return [DestinationRow(*row) for row in connection.execute(_all)]


def _update(name: str) -> Update:
    return update(destinations).where(destinations.c.name == name)
