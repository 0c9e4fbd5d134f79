"""Missed calls after which nobody talked to the customer."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from relay.call import Status
from relay.instants import Instant
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
        func.min(_newest_missed.c.began_at).over(partition_by=_newest_missed.c.number).label("first_at"),
    )
    .where(_newest_missed.c.called_back_at.is_(None))
    .subquery("by_number")
)
_unanswered = (
    select(
        _by_number.c.id,
        _by_number.c.number,
        _by_number.c.began_at,
        _by_number.c.calls,
        _by_number.c.first_at,
    )
    .where(_by_number.c.place == 1)
    .order_by(_by_number.c.first_at, _by_number.c.id)
)
_called_back = select(_newest_missed.c.began_at, _newest_missed.c.called_back_at).where(
    _newest_missed.c.called_back_at.is_not(None)
)


class UnansweredNumber(NamedTuple):
    """A customer who still waits: the id and the begin of their last missed call, and how many there were.

    `first_at`: when the first of them began.
    """

    call: str
    number: str
    began_at: Instant
    calls: int
    first_at: Instant


def list_unanswered(connection: Connection, since: Instant, *, most: int) -> list[UnansweredNumber]:
    """Return the customers, who waits longest first. Only the `most` newest missed calls are looked at."""
    rows = connection.execute(_unanswered, {"since": since, "most": most})
    return [UnansweredNumber(*row) for row in rows]


def list_called_back(connection: Connection, since: Instant, *, most: int) -> list[tuple[Instant, Instant]]:
    """Return when those of the `most` newest missed calls that were called back began, and when the
    conversations after them began, unsorted.
    """
    rows = connection.execute(_called_back, {"since": since, "most": most})
    return [(began_at, called_back_at) for began_at, called_back_at in rows]
