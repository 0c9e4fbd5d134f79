"""What a row of the history would change, by a plan of the fold that is not written."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from relay.call import ROW, CallEvent, changed_fields
from relay.fold.ambiguous import find_ambiguous
from relay.fold.changes import plan_changes
from relay.fold.forgotten import is_forgotten
from relay.fold.snapshot import Snapshot, read_snapshot
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.journal import UnfoldedEvent

_AFTER_ALL: Final = 2**62
"""The sequence number of a row that is not in the journal: it would be the newest event."""

_NOT_COUNTED: Final = frozenset({"cloudtalk_data", "version"})
"""Fields that change with every row: the row itself is a part of them."""


class Effect(StrEnum):
    """What a row would change."""

    NEW = "new"
    """It begins a call that the ledger does not know."""
    FILLED = "filled"
    """It changes the facts of a call."""
    LINKED = "linked"
    """It changes no fact, but the ledger does not have it yet: it may link an id to its call."""
    NOTHING = "nothing"
    """The ledger has it, as it is."""
    DELETED = "deleted"
    """Its call was deleted from the ledger, or a person had it forgotten. It must not come back."""
    AMBIGUOUS = "ambiguous"
    """Several calls fit it: only its call_uuid says which one it is."""


def plan_rows(
    connection: Connection, events: Sequence[CallEvent], neighbours: Sequence[CallEvent], *, now: Instant
) -> list[Effect]:
    """Return the effect of each of these rows, each by itself. Nothing is written.

    `neighbours`: rows of about the same time, which may fit the same calls.
    """
    if not events:
        return []
    batch = [
        UnfoldedEvent(_AFTER_ALL + number, now, event, waited=False)
        for number, event in enumerate((*events, *neighbours))
    ]
    snapshot = read_snapshot(connection, batch)
    ambiguous = find_ambiguous(batch, snapshot)
    return [_plan_row(row, snapshot, is_ambiguous=row.seq in ambiguous) for row in batch[: len(events)]]


def _plan_row(unfolded: UnfoldedEvent, snapshot: Snapshot, *, is_ambiguous: bool) -> Effect:
    event = unfolded.parsed
    owners = {snapshot.owners[alias] for alias in event.aliases if alias in snapshot.owners}
    is_about_forgotten = snapshot.forgotten is not None and is_forgotten(unfolded, snapshot.forgotten)
    if is_about_forgotten or owners & snapshot.tombstones.keys():
        return Effect.DELETED
    if any(_has_row(snapshot, owner, event) for owner in owners):
        return Effect.NOTHING
    if is_ambiguous:
        return Effect.AMBIGUOUS
    changes = plan_changes([unfolded], snapshot)
    if not changes.folded:
        return Effect.LINKED  # the fold sets it aside, and says so
    ((_, call),) = changes.folded
    before = snapshot.calls.get(call)
    if before is None:
        return Effect.NEW
    after = next((record for record in changes.updated if record.id == call), before.record)
    is_filled = not _NOT_COUNTED.issuperset(changed_fields(before.record, after))
    return Effect.FILLED if is_filled else Effect.LINKED


def _has_row(snapshot: Snapshot, call: str, event: CallEvent) -> bool:
    """Whether the newest row of this call_id that was folded into the call is the same."""
    row = snapshot.calls.get(call)
    if row is None or not set(row.state.aliases).issuperset(event.aliases):
        return False
    digest = f"{ROW}{event.fact('call_id')}"
    return bool(row.state.fact(digest) == event.fact(digest))
