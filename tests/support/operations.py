"""Calls and deliveries in a ledger, for tests of what an operator sees."""

import msgspec

from relay.instants import SECOND
from relay.ledger import aliases, calls, deliveries
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update
from tests.support.samples import RECEIVED_AT, make_call_row

NOW = RECEIVED_AT
DELIVERED = delivered_update(due_at=NOW, attempted_at=NOW, remote_id="r1")
RETRYING = msgspec.structs.replace(
    DELIVERED,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=NOW + 5 * SECOND,
    attempts=2,
    remote_id=None,
    outcome="retry",
    code="503",
    message="it's down",
)
DEAD = msgspec.structs.replace(RETRYING, state=DeliveryState.DEAD, outcome="rejected", code="22P05")


def write_call(connection: Connection, id_: str, version: int = 1, *ids: str) -> None:
    """Write a call, pending for every destination."""
    calls.write(connection, [make_call_row(id_, version)], [])
    aliases.add(connection, [Alias(alias, id_, AliasReason.STATED) for alias in ids])
    deliveries.enqueue(connection, [(id_, version)], now=NOW)
