"""The events of the journal with their bodies, and the quarantine, for tests that read whole rows."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from relay.ledger import journal, quarantine
from relay.ledger.compression import decompress
from relay.ledger.connection import Connection
from relay.ledger.quarantine import QuarantinedBody
from relay.ledger.tables import bodies, events


def count_events(connection: Connection) -> tuple[int, int, int]:
    """Return how many events were accepted, how many are not folded, and how many were set aside."""
    accepted, unfolded = journal.count_accepted(connection), journal.count_unfolded(connection)
    return accepted, unfolded, len(journal.list_aside(connection))


def read_events(connection: Connection) -> list[Any]:
    """Return every event by its number: the columns of its row, its `raw` body, and as text `parsed`."""
    rows = connection.execute(select(events, bodies).join(bodies, bodies.c.seq == events.c.seq))
    found = [SimpleNamespace(**row._asdict()) for row in rows]
    for event in found:
        event.raw, event.parsed = decompress(event.raw), decompress(event.parsed).decode()
    return sorted(found, key=lambda event: event.seq)


def read_quarantine(connection: Connection) -> list[QuarantinedBody]:
    """Return every body in quarantine, oldest first."""
    return quarantine.get_many(connection, quarantine.list_ids(connection))
