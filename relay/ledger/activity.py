"""How many events arrived and how many calls began in each part of a period.

The journal has no index by time, which would cost each event. Its sequence numbers grow with time, so the
first event of a period is found by bisection.
"""

from sqlalchemy import BigInteger, ColumnElement, bindparam, func, literal_column, select

from relay.instants import Duration, Instant
from relay.ledger.connection import Connection
from relay.ledger.tables import calls, events

_bounds = select(func.min(events.c.seq), func.max(events.c.seq))
_next = select(events.c.received_at).where(events.c.seq >= bindparam("seq")).order_by(events.c.seq).limit(1)
_length = bindparam("length", type_=BigInteger)
_by_part: ColumnElement[int] = literal_column("part")
_events = (
    select((events.c.received_at // _length).label("part"), func.count())
    .where(events.c.seq >= bindparam("seq"), events.c.received_at >= bindparam("since"))
    .group_by(_by_part)
)
_calls = (
    select((calls.c.began_at // _length).label("part"), func.count())
    .where(calls.c.began_at >= bindparam("since"), calls.c.merged_into.is_(None))
    .group_by(_by_part)
)
_arrived = select(func.count()).where(
    events.c.seq >= bindparam("seq"),
    events.c.seq < bindparam("end"),
)


def count_events(connection: Connection, since: Instant, length: Duration) -> dict[int, int]:
    """Return the number of events of each part of this length, by the number of the part since 1970."""
    parameters = {"seq": _first_seq(connection, since), "since": since, "length": length}
    return dict(connection.execute(_events, parameters).all())


def count_calls(connection: Connection, since: Instant, length: Duration) -> dict[int, int]:
    """Return the number of calls that began in each part, as `count_events` does."""
    return dict(connection.execute(_calls, {"since": since, "length": length}).all())


def count_arrived(connection: Connection, since: Instant, until: Instant) -> int:
    """Return how many events arrived in a period, `until` not included."""
    bounds = {"seq": _first_seq(connection, since), "end": _first_seq(connection, until)}
    number: int = connection.execute(_arrived, bounds).scalar_one()
    return number


def _first_seq(connection: Connection, since: Instant) -> int:
    """Return the sequence number of the first event since then; one more than the last if there is none.

    Events that were committed in another order than they arrived may be missed by some milliseconds.
    """
    low, high = connection.execute(_bounds).one()
    if low is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        if connection.execute(_next, {"seq": middle}).scalar() < since:
            low = middle + 1
        else:
            high = middle
    return int(low)
