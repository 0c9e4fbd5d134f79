"""What a row of the history would change, by a plan of the fold that is not written."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from relay.call import ROW, CallEvent, changed_fields, is_from_history
from relay.fold.ambiguous import Doubts, find_doubts
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


class Planned(NamedTuple):
    """What a row would change as it is: with `asks`, only its call_uuid says which call it is. `name`: the
    number by which webhooks name its call, see `find_doubts`.
    """

    effect: Effect
    asks: bool = False
    name: str | None = None


def plan_rows(
    connection: Connection,
    events: Sequence[CallEvent],
    neighbours: Sequence[CallEvent] = (),
    *,
    edges: Collection[int] = (),
    now: Instant,
) -> list[Planned]:
    """Plan each of these rows, each by itself. Nothing is written.

    `neighbours`: rows of about the same time, which may fit the same calls. `edges`: the indexes of the rows
    for which these are not all known.
    """
    if not events:
        return []
    batch = [
        UnfoldedEvent(_AFTER_ALL + number, now, event, waited=False)
        for number, event in enumerate((*events, *neighbours))
    ]
    snapshot = read_snapshot(connection, batch, looks_around=True)
    doubts = find_doubts(batch, snapshot, edges=frozenset(_AFTER_ALL + index for index in edges))
    return [_plan_row(row, snapshot, doubts) for row in batch[: len(events)]]


def _plan_row(row: UnfoldedEvent, snapshot: Snapshot, doubts: Doubts) -> Planned:
    effect = _find_effect(row, snapshot)
    asks = row.seq in doubts.to_ask and effect is not Effect.DELETED
    if asks and not _is_from_history(row.parsed, snapshot):
        effect = Effect.AMBIGUOUS  # the fold would link it
    return Planned(effect, asks, doubts.names.get(row.seq))


def _is_from_history(event: CallEvent, snapshot: Snapshot) -> bool:
    rows = (snapshot.calls.get(snapshot.owners.get(alias, "")) for alias in event.aliases)
    return any(row is not None and is_from_history(row.state) for row in rows)


def _find_effect(unfolded: UnfoldedEvent, snapshot: Snapshot) -> Effect:
    event = unfolded.parsed
    owners = {snapshot.owners[alias] for alias in event.aliases if alias in snapshot.owners}
    forgotten = snapshot.forgotten
    is_about_forgotten = forgotten is not None and is_forgotten(unfolded, forgotten, snapshot.owners)
    if is_about_forgotten or owners & snapshot.tombstones.keys():
        return Effect.DELETED
    if any(_has_row(snapshot, owner, event) for owner in owners):
        return Effect.NOTHING
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
    if event.fact("alone") and not row.state.fact("alone"):
        return False
    digest = f"{ROW}{event.fact('call_id')}"
    return bool(row.state.fact(digest) == event.fact(digest))
