"""Which rows of the history only CloudTalk's analytics can assign to a call. Pure."""

from collections import Counter
from collections.abc import Sequence

from relay.call import CallEvent
from relay.fold.links import arrived_during, named_calls
from relay.fold.match_event import find_candidates, find_legs
from relay.fold.matching import customer_number
from relay.fold.planned_calls import PlannedCalls
from relay.fold.snapshot import Snapshot
from relay.ledger.journal import UnfoldedEvent


def find_ambiguous(rows: Sequence[UnfoldedEvent], snapshot: Snapshot) -> set[int]:
    """Return the sequence numbers of the rows that no id links to a call, and that several calls fit, or that
    fit a call which another one of these rows fits too; and of those that may be a call without a start.
    `snapshot`: as read for these rows.

    The fold lets such a row begin a call of its own if several calls fit it, but it sees one row at a time:
    where two rows fit one call, it would link the first. So the importer asks for the call_uuid of both.
    A row that names another one of these rows is linked by that.
    """
    calls = PlannedCalls(snapshot)
    ids = {row.parsed.fact("call_id") for row in rows}
    candidates = {
        row.seq: _find_candidates(row, calls) for row in rows if ids.isdisjoint(named_calls(row.parsed))
    }
    claims = Counter(found[0] for found in candidates.values() if len(found) == 1)
    return {
        seq
        for seq, found in candidates.items()
        if len(found) > 1 or (len(found) == 1 and claims[found[0]] > 1)
    } | {
        row.seq
        for row in rows
        if candidates.get(row.seq) == []
        and not _is_linked(row, calls)
        and _may_be_without_start(row.parsed, calls)
    }


def _find_candidates(row: UnfoldedEvent, calls: PlannedCalls) -> list[str]:
    if _is_linked(row, calls):
        return []
    return find_candidates(row.parsed, None, calls)


def _is_linked(row: UnfoldedEvent, calls: PlannedCalls) -> bool:
    return (
        "call_uuid" in row.parsed.facts
        or not calls.owners.keys().isdisjoint(row.parsed.aliases)
        or bool(find_legs(row, None, calls))
    )


def _may_be_without_start(event: CallEvent, calls: PlannedCalls) -> bool:
    """Whether a webhook of the customer without a start arrived about the time of the row."""
    others = calls.with_number(customer_number(event)).values()
    return not event.fact("alone") and any(arrived_during(event, state) for state in others)
