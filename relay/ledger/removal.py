"""Removing one call from the ledger without a trace, as if it had never arrived."""

from typing import Final

from sqlalchemy import BindParameter, bindparam, delete, select, update

from relay.ledger import call_terms, tables
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import bodies, calls, dedup_keys, deliveries, events, metadata

_of_call: Final[BindParameter[str]] = bindparam("of_call")
_ids = select(calls.c.id).where(calls.c.id >= bindparam("first"), calls.c.id < bindparam("end"))
_seqs = select(events.c.seq).where(events.c.call == _of_call)
_drop = (
    update(deliveries)
    .where(deliveries.c.call == _of_call, has_state(deliveries.c.state, DeliveryState.PENDING))
    .values(state=DeliveryState.DROPPED)
)
_ABOUT_CALLS: Final = [
    table
    for table in metadata.sorted_tables
    # The others have no index by call: `call_terms.remove` deletes their rows by their keys.
    if "call" in table.c and table not in {tables.call_terms, tables.call_keys}
]
_delete: Final = (
    delete(bodies).where(bodies.c.seq.in_(_seqs)),
    delete(dedup_keys).where(dedup_keys.c.seq.in_(_seqs)),
    # Every table that has rows about a call, also those that are added later.
    *(delete(table).where(table.c.call == _of_call) for table in _ABOUT_CALLS),
    delete(calls).where(calls.c.id == _of_call),
)


def list_ids(connection: Connection, prefix: str) -> list[str]:
    """Return the ids of the calls that begin with a prefix of ASCII characters, in alphabetical order."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return sorted(connection.execute(_ids, {"first": prefix, "end": end}).scalars())


def drop_pending(connection: Connection, call: str) -> None:
    """Let no worker begin a push of this call. A push that is under way goes on, and may make it pending."""
    connection.execute(_drop, {"of_call": call})


def remove_call(connection: Connection, call: str) -> None:
    """Delete the call with its events, ids and deliveries. The CRMs must not have it any more."""
    call_terms.remove(connection, [call])
    for statement in _delete:
        connection.execute(statement, {"of_call": call})
