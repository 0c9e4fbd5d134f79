"""Missed calls after which nobody talked to the customer."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from relay.call import Status
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.states import has_state
from relay.ledger.tables import calls

_later = calls.alias("later")
_newest_missed = (
    select(calls.c.id, calls.c.number, calls.c.began_at)
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
_talked_later = (
    select(_later.c.id)
    .where(
        _later.c.number == _newest_missed.c.number,
        _later.c.began_at > _newest_missed.c.began_at,
        has_state(_later.c.status, Status.ANSWERED, Status.COMPLETED),
        _later.c.merged_into.is_(None),
    )
    .exists()
)
_unanswered = (
    select(
        _newest_missed.c.number,
        func.max(_newest_missed.c.began_at).label("began_at"),
        func.count().label("calls"),
    )
    .where(~_talked_later)
    .group_by(_newest_missed.c.number)
    .order_by(func.max(_newest_missed.c.began_at).desc())
)
_call = select(calls.c.id).where(
    calls.c.number == bindparam("number"),
    calls.c.began_at == bindparam("began_at"),
    calls.c.merged_into.is_(None),
)


class UnansweredNumber(NamedTuple):
    """A customer who still waits: the id and the begin of their last missed call, and how many there were."""

    call: str
    number: str
    began_at: Instant
    calls: int


def list_unanswered(
    connection: Connection, since: Instant, *, limit: int, most: int
) -> tuple[list[UnansweredNumber], int]:
    """Return up to `limit` customers, the last missed call first, and the number of all.

    Only the `most` newest missed calls are looked at.
    """
    rows = connection.execute(_unanswered, {"since": since, "most": most}).all()
    found = [
        UnansweredNumber(_id_of(connection, number, began_at), number, began_at, calls)
        for number, began_at, calls in rows[:limit]
    ]
    return found, len(rows)


def _id_of(connection: Connection, number: str, began_at: Instant) -> str:
    id_: str = min(connection.execute(_call, {"number": number, "began_at": began_at}).scalars())
    return id_
