"""Who is owed a newer version of a call."""

from collections.abc import Sequence

from sqlalchemy import Connection

from relay.call import Call, is_wanted
from relay.ledger import deliveries


def owe(connection: Connection, moved: Sequence[Call], *, forward_internal: bool, now: int) -> None:
    """Every destination is owed these calls.

    One that no CRM should have begins no delivery; where a CRM has it, since that was not known at
    first, it is owed that the record goes.
    """
    wanted = [call for call in moved if is_wanted(call, forward_internal=forward_internal)]
    others = [call for call in moved if call not in wanted]
    deliveries.mark(connection, [(call.id, call.version) for call in wanted], now=now)
    deliveries.mark_known(connection, [(call.id, call.version) for call in others], now=now)
