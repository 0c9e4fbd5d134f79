"""Events whose ids belong to different calls, and how they are reported."""

from collections.abc import Iterable

import msgspec

from relay.call import CallEvent
from relay.ledger import journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import CONFLICTING_IDS, NewQuarantinedBody
from relay.logs import get_logger

log = get_logger("relay.fold")


class Conflict(msgspec.Struct, frozen=True):
    """The event was folded without its aliases in `dropped`: they belong to another call."""

    seq: int
    event: CallEvent
    dropped: tuple[str, ...]


def quarantine_conflicts(connection: Connection, conflicts: Iterable[Conflict]) -> None:
    """Quarantine and log each conflict, but only one for each dialect, kind and set of dropped aliases: a
    constant typed into a workflow conflicts in every call.
    """
    for conflict in conflicts:
        unique_key = f"{conflict.event.dialect}:{conflict.event.kind}:{','.join(conflict.dropped)}"
        if quarantine.contains_key(connection, unique_key):
            continue
        quarantine.add(connection, _quarantine_row(connection, conflict, unique_key))
        log.warning(
            "fold.conflict",
            event_seq=conflict.seq,
            kind=conflict.event.kind,
            dropped=list(conflict.dropped),
        )


def _quarantine_row(connection: Connection, conflict: Conflict, unique_key: str) -> NewQuarantinedBody:
    row = journal.get(connection, conflict.seq)
    dropped = ", ".join(conflict.dropped)
    return NewQuarantinedBody(
        received_at=row.received_at,
        reason=CONFLICTING_IDS,
        message=f"{dropped} belongs to another call: the event was folded without it (a typed constant?)",
        pointer="",
        content_type=row.content_type,
        path=row.path,
        query=row.query,
        raw=row.raw,
        unique_key=unique_key,
    )
