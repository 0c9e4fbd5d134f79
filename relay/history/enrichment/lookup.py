"""What the ledger has about a call when its question is due."""

from datetime import datetime
from typing import Final

import msgspec

from relay.call import Call, is_missed
from relay.instants import SECOND, Instant, duration
from relay.ledger import calls
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.enrichments import DueQuestion, Question
from relay.ledger.unlinked_calls import has_unlinked

_MARGIN: Final = duration(120)
"""How far the starts of two records of one call may be apart, as for the link by number and time."""

_LONGEST_UNSTATED: Final = duration(3_600)
"""How long before the arrival of its Ended a call without a start may have begun."""


class AskedCall(msgspec.Struct, frozen=True):
    """A call that has a call_id. `has_partner`: whether a call with a call_uuid alone may be the same one."""

    row: CallRow
    call_id: str
    has_partner: bool

    @property
    def needs_reason(self) -> bool:
        """Whether it is a missed call, and nobody said why."""
        return is_missed(self.row.record) and self.row.record.missed_reason is None

    @property
    def is_useful(self) -> bool:
        """Whether the analytics can state something that a record lacks."""
        return self.needs_reason or self.has_partner


def look_up(connection: Connection, due: DueQuestion) -> AskedCall | None:
    """Return the call; None if it is gone, or has no call_id any more."""
    row = calls.get_many(connection, [due.call]).get(due.call)
    if row is None or row.record.call_id is None:
        return None
    needs_partner = due.question is Question.ANALYTICS and row.record.call_uuid is None
    return AskedCall(row, row.record.call_id, needs_partner and _has_partner(connection, row))


def _has_partner(connection: Connection, row: CallRow) -> bool:
    length = (row.record.duration_seconds or 0) * SECOND
    has_start = row.record.started_at is not None
    since = row.began_at - (_MARGIN if has_start else max(length, _LONGEST_UNSTATED))
    until = _last_moment(row.record, row.began_at + length) + _MARGIN
    return has_unlinked(connection, row.number, since=Instant(since), until=Instant(until))


def _last_moment(record: Call, otherwise: int) -> int:
    if record.ended_at is None:
        return otherwise
    return int(datetime.fromisoformat(record.ended_at).timestamp() * SECOND)
