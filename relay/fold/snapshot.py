"""What the ledger holds about the calls that a batch of events may belong to."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from relay.fold.dedup import dedup_keys
from relay.fold.matching import customer_number
from relay.fold.waiting import may_wait
from relay.instants import SECOND, Duration, Instant
from relay.ledger import aliases, calls, dedup, deliveries, epochs, tombstones
from relay.ledger.aliases import AliasReason
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.tombstones import Tombstone

_LONGEST_CALL: Final = Duration(86_400 * SECOND)
"""How long before the arrival of an event a call with its number may have begun."""


class Snapshot(msgspec.Struct, frozen=True):
    """One consistent read of the ledger.

    `owners`: alias → id of its call. `calls`: id → row. `pinned`: aliases that a person split off.
    `tombstones`: id → what stays of a call that retention deleted. `version_floor`: see `epochs`.
    `first_delivered`: id → when a CRM first received the call. `seen_keys`: those of the batch's
    deduplication keys that were folded before.
    """

    owners: Mapping[str, str]
    calls: Mapping[str, CallRow]
    pinned: frozenset[str] = frozenset()
    first_delivered: Mapping[str, Instant] = {}
    seen_keys: frozenset[str] = frozenset()
    tombstones: Mapping[str, Tombstone] = {}
    version_floor: int = 0


def read_snapshot(connection: Connection, batch: Sequence[UnfoldedEvent]) -> Snapshot:
    """Read what `plan_changes` needs for this batch, which must not be empty."""
    events = [unfolded.parsed for unfolded in batch]
    ids = {alias for event in events for alias in event.aliases}
    found = aliases.get_many(connection, ids)
    owners = {alias.alias: alias.call for alias in found}
    # An event without a call begins one with this id, unless the id is taken.
    own_ids = {f"cloudtalk-{event.name}" for event in events}
    possible_ids = {*owners.values(), *own_ids}
    rows = calls.get_many(connection, possible_ids)
    deleted = tombstones.get_many(connection, possible_ids - rows.keys())
    numbers = {
        number
        for event in events
        # An event whose ids all belong to calls is matched by them.
        if may_wait(event) and not owners.keys() >= set(event.aliases) and (number := customer_number(event))
    }
    if numbers:
        since = Instant(min(unfolded.received_at for unfolded in batch) - _LONGEST_CALL)
        rows |= calls.list_by_number(connection, numbers, since=since)
    known = rows.keys() | deleted.keys()
    # A merge needs two calls, and an event with an id of each.
    may_merge = len(known) > 1 and any(len(event.aliases) > 1 for event in events)
    keys = {key for event in events for key in dedup_keys(event)}
    return Snapshot(
        owners,
        rows,
        pinned=frozenset(alias.alias for alias in found if alias.reason is AliasReason.SPLIT),
        first_delivered=deliveries.first_delivered_at(connection, known) if may_merge else {},
        seen_keys=frozenset(dedup.first_seen(connection, keys)),
        tombstones=deleted,
        version_floor=epochs.version_floor(connection),
    )
