"""Who is owed a newer version of a call."""

from collections.abc import Sequence

from sqlalchemy import Connection

from relay.call import Call, is_wanted
from relay.ledger import deliveries
from relay.ledger.notifications import notify


def owe(connection: Connection, moved: Sequence[Call], *, forward_internal: bool, now: int) -> None:
    """Every destination is owed these calls.

    One that no CRM should have begins no delivery; where a CRM has it, since that was not known at
    first, it is owed that the record goes.
    """
    wanted: list[tuple[str, int]] = []
    others: list[tuple[str, int]] = []
    for call in moved:
        part = wanted if is_wanted(call, forward_internal=forward_internal) else others
        part.append((call.id, call.version))
    deliveries.enqueue(connection, wanted, now=now)
    deliveries.enqueue_known(connection, others, now=now)
    if moved:
        notify(connection)
