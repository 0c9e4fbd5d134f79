"""Missed calls that nobody has called back."""

from typing import Final

import msgspec

from relay.instants import Instant, duration, iso
from relay.ledger import calls, unanswered
from relay.ledger.connection import Connection

DAYS: Final = 7
_MOST_EXAMINED: Final = 1_000
_SHOWN: Final = 8


class UnansweredCall(msgspec.Struct, frozen=True):
    """The last missed call of a customer with whom nobody has talked since. `calls`: how many were missed."""

    id: str
    number: str
    contact_name: str | None
    at: str | None
    calls: int


class UnansweredCalls(msgspec.Struct, frozen=True):
    """The newest of them; `customers` is the number of all in the last `DAYS` days."""

    newest: list[UnansweredCall]
    customers: int


def get_unanswered(connection: Connection, now: Instant) -> UnansweredCalls:
    """Return the customers who called in the last days, were missed, and whom nobody has talked to since."""
    since = Instant(now - duration(DAYS * 86_400))
    found, number = unanswered.list_unanswered(connection, since, limit=_SHOWN, most=_MOST_EXAMINED)
    records = calls.get_records(connection, [each.call for each in found])
    return UnansweredCalls(
        [
            UnansweredCall(
                each.call, each.number, records[each.call].contact_name, iso(each.began_at), each.calls
            )
            for each in found
        ],
        number,
    )
