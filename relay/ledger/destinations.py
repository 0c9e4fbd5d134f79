"""The destinations that calls are owed to, and why one waits."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from relay.ledger.tables import destinations


def register(connection: Connection, clients: Mapping[str, str]) -> None:
    """Owe calls to these destinations (name → client) from now on.

    What made one wait may have been mended with the settings: it is tried at once.
    """
    known = set(connection.execute(select(destinations.c.name)).scalars())
    for name, client in clients.items():
        if name in known:
            connection.execute(update(destinations).where(destinations.c.name == name).values(client=client))
            resume(connection, name)
        else:
            connection.execute(insert(destinations).values(name=name, client=client))


def pause(connection: Connection, name: str, *, reason: str, until: int, message: str | None) -> None:
    """The destination waits until then; no call's attempts are spent meanwhile."""
    values = {"paused_reason": reason, "paused_until": until, "paused_message": message}
    connection.execute(update(destinations).where(destinations.c.name == name).values(values))


def resume(connection: Connection, name: str) -> None:
    """The destination waits no more."""
    values = {"paused_reason": None, "paused_until": None, "paused_message": None}
    connection.execute(update(destinations).where(destinations.c.name == name).values(values))


def one(connection: Connection, name: str) -> Any:
    """How this destination stands."""
    return connection.execute(select(destinations).where(destinations.c.name == name)).one()


def all_of(connection: Connection) -> Sequence[Any]:
    """Every destination that calls were ever owed to, by name."""
    return connection.execute(select(destinations).order_by(destinations.c.name)).all()
