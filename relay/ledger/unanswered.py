"""Missed calls after which nobody talked to the customer."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from relay.call import Status
from relay.instants import Duration, Instant
from relay.ledger.connection import Connection
from relay.ledger.states import has_state
from relay.ledger.tables import calls

_newest_missed = (
    select(calls.c.id, calls.c.number, calls.c.began_at, calls.c.called_back_at)
    .where(
        has_state(calls.c.status, Status.MISSED, Status.VOICEMAIL),
        calls.c.direction == "inbound",
        calls.c.began_at >= bindparam("since"),
        calls.c.merged_into.is_(None),
        calls.c.number.is_not(None),
    )
    .order_by(calls.c.began_at.desc())
    .limit(bindparam("most"))
    .subquery("missed")
)
_by_number = (
    select(
        _newest_missed.c.id,
        _newest_missed.c.number,
        _newest_missed.c.began_at,
        func.row_number()
        .over(
            partition_by=_newest_missed.c.number,
            order_by=(_newest_missed.c.began_at.desc(), _newest_missed.c.id.desc()),
        )
        .label("place"),
        func.count().over(partition_by=_newest_missed.c.number).label("calls"),
    )
    .where(_newest_missed.c.called_back_at.is_(None))
    .subquery("by_number")
)
_unanswered = (
    select(_by_number.c.id, _by_number.c.number, _by_number.c.began_at, _by_number.c.calls)
    .where(_by_number.c.place == 1)
    .order_by(_by_number.c.began_at.desc(), _by_number.c.id.desc())
)
_waits = select((_newest_missed.c.called_back_at - _newest_missed.c.began_at).label("wait")).where(
    _newest_missed.c.called_back_at.is_not(None)
)


class UnansweredNumber(NamedTuple):
    """A customer who still waits: the id and the begin of their last missed call, and how many there were."""

    call: str
    number: str
    began_at: Instant
    calls: int


def list_unanswered(connection: Connection, since: Instant, *, most: int) -> list[UnansweredNumber]:
    """Return the customers, the last missed call first. Only the `most` newest missed calls are looked at."""
    rows = connection.execute(_unanswered, {"since": since, "most": most})
    return [UnansweredNumber(*row) for row in rows]


def list_waits(connection: Connection, since: Instant, *, most: int) -> list[Duration]:
    """Return how long those of the `most` newest missed calls waited that were called back, unsorted."""
    return list(connection.execute(_waits, {"since": since, "most": most}).scalars())
