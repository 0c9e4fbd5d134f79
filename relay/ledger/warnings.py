"""Warnings and notes of a running relay that `relay check` and the overview show, one for each name."""

from typing import Final

import msgspec
from sqlalchemy import delete, insert, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import warnings as table

CLOCK_OFF: Final = "clock_off"
"""Signed webhooks are rejected because their time and this machine's clock differ too much."""

CLOCK_JUMPED: Final = "clock_jumped"
"""Retention deletes nothing, because the clock is far ahead of the newest call."""

REFUSED: Final = "refused."
"""The names of the warnings about refused requests begin with this; the rest is why they were refused. The
message is the address of the last sender.
"""


class WarningRow(msgspec.Struct, frozen=True):
    """A warning. `name`: without the beginning by which it was found."""

    name: str
    at: Instant
    message: str


ANALYTICS_PAUSED: Final = "analytics_paused"
"""CloudTalk's analytics API is not asked about calls, because it refused or did not answer."""

AI_PAUSED: Final = "ai_paused"
"""CloudTalk's AI is not asked about calls, because it refused or did not answer."""

PAUSED_APIS: Final = {"analytics": ANALYTICS_PAUSED, "ai": AI_PAUSED}
"""The warning of each API that may be paused."""


def record(connection: Connection, name: str, at: Instant, message: str) -> None:
    """Write a warning in place of the last one of this name."""
    advisory_lock(connection, "warnings")
    connection.execute(delete(table).where(table.c.name == name))
    connection.execute(insert(table).values(name=name, recorded_at=at, message=message))


def clear(connection: Connection, name: str) -> None:
    """Remove the warning of this name, whose cause has ended."""
    connection.execute(delete(table).where(table.c.name == name))


def get(connection: Connection, name: str, *, since: Instant) -> str | None:
    """Return the message of this warning if it was recorded at `since` or later."""
    found = select(table.c.message).where(table.c.name == name, table.c.recorded_at >= since)
    message: str | None = connection.execute(found).scalar()
    return message


def list_beginning(connection: Connection, beginning: str, *, since: Instant) -> list[WarningRow]:
    """List the warnings whose names begin with this, recorded at `since` or later, newest first."""
    found = (
        select(table.c.name, table.c.recorded_at, table.c.message)
        .where(table.c.name.startswith(beginning, autoescape=True), table.c.recorded_at >= since)
        .order_by(table.c.recorded_at.desc(), table.c.name)
    )
    rows = connection.execute(found)
    return [WarningRow(name.removeprefix(beginning), Instant(at), message) for name, at, message in rows]
