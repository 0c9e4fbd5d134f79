"""Which relays may use a schema. During a rolling upgrade older relays use the newer one.

A migration is additive: what a relay of an earlier schema reads and writes stays as it was. So a relay
accepts a newer schema if the ledger says that it is compatible from the relay's own schema on. A migration
that removes something makes the ledger incompatible with the relays that still use it: they do not start, and
it does not run while they do. See docs/decisions/0033-rolling-upgrades.md.
"""

from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import URL

from relay.instants import Instant
from relay.ledger import relays
from relay.ledger.clocks import DatabaseClock, wall_clock
from relay.ledger.connection import Connection
from relay.ledger.errors import SchemaError
from relay.ledger.tables import schema_compatibility

COMPATIBLE_FROM: Final = "0001"
"""The oldest schema whose relays work with the newest one. Each migration after it is additive, as a test
checks. A migration that is not sets it to the schema of the last release, which no longer needs what goes.
"""

_read = select(schema_compatibility.c.compatible_from)
_remove = delete(schema_compatibility)
_write = insert(schema_compatibility)


def write_compatibility(connection: Connection, compatible_from: str) -> None:
    """Write from which schema on relays work with the schema of this ledger."""
    connection.execute(_remove)
    connection.execute(_write, {"compatible_from": compatible_from})


def require_compatible(connection: Connection, url: URL, *, found: str, own: str) -> None:
    """Make sure that a relay with the schema `own` works with this ledger, whose schema `found` is newer.

    Raises `SchemaError`.
    """
    compatible_from = connection.execute(_read).scalar()
    if compatible_from is None or own < compatible_from:
        raise SchemaError(
            f"the ledger {url.render_as_string()} has schema {found}, with which this version of the relay"
            f" (schema {own}) does not work; run the version that migrated it or a later one, or restore the"
            " backup from before the upgrade"
        )


def require_no_older_relay(connection: Connection, url: URL, *, compatible_from: str, own: str) -> None:
    """Make sure that no relay runs that would not work with the schema `own`. Raises `SchemaError`."""
    for relay in relays.list_running(connection, now=_now(connection)):
        if relay.schema_version < compatible_from:
            raise SchemaError(
                f"the ledger {url.render_as_string()} is used by a relay with schema {relay.schema_version}"
                f" (host {relay.host}, process {relay.pid}), which does not work with schema {own}; stop all"
                f" relays with a schema before {compatible_from} and start this one again (of another host"
                " that was lost: after 35 seconds)"
            )


def _now(connection: Connection) -> Instant:
    if connection.dialect.name != "postgresql":
        return wall_clock()
    clock = DatabaseClock()
    clock.sync(connection)
    return clock()
