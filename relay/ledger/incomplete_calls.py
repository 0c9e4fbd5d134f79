"""Calls that are over, but lack their call_id or how they went: CloudTalk's history has both."""

from typing import Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.tables import calls

_MOST: Final = 500
_NOT_OVER: Final = frozenset({"in_progress", "answered"})

_changed = (
    select(calls.c.began_at, calls.c.changed_at, calls.c.record)
    .where(calls.c.merged_into.is_(None), calls.c.changed_at >= bindparam("since"))
    .order_by(calls.c.changed_at.desc())
    .limit(bindparam("limit"))
)


class IncompleteCall(NamedTuple):
    """When a call began, and when its last event arrived. `has_start`: whether an event stated the start."""

    began_at: Instant
    changed_at: Instant
    has_start: bool


class _Facts(msgspec.Struct):
    status: str
    call_id: str | None = None
    started_at: str | None = None
    answered_at: str | None = None
    duration_seconds: int | None = None
    talking_seconds: int | None = None


_decode = msgspec.json.Decoder(_Facts).decode


def list_incomplete(connection: Connection, *, since: Instant, limit: int = _MOST) -> list[IncompleteCall]:
    """Return those of the calls that changed last, up to `limit`, which are incomplete. `since`: when they
    changed.
    """
    found = connection.execute(_changed, {"since": since, "limit": limit})
    rows = ((began, changed, _decode(record)) for began, changed, record in found)
    return [
        IncompleteCall(began, changed, facts.started_at is not None)
        for began, changed, facts in rows
        if _lacks(facts)
    ]


def _lacks(facts: _Facts) -> bool:
    if facts.status in _NOT_OVER:
        return False
    times = facts.answered_at, facts.duration_seconds, facts.talking_seconds
    return facts.call_id is None or (facts.status == "completed" and times == (None, None, None))
