"""The spans of a fold."""

from typing import TYPE_CHECKING

from relay.fold.changes import Changes
from relay.instants import Instant

if TYPE_CHECKING:
    from relay.tracing.tracer import CallTracer


def trace_fold(tracer: "CallTracer", changes: Changes, folded_at: Instant) -> None:
    """Write the spans of the events that were folded. The first event of a new call is the root of its
    trace.
    """
    begun = {row.id for row in changes.new_rows}
    calls = dict(changes.folded)
    for event in changes.folded_events:
        call = calls[event.seq]
        tracer.trace_event(
            call,
            {
                "event.seq": event.seq,
                "event.kind": event.parsed.kind.value,
                "event.dialect": event.parsed.dialect,
            },
            is_first=call in begun,
            received_at=event.received_at,
            planned_at=changes.planned_at,
            folded_at=folded_at,
        )
        begun.discard(call)
