"""What the ledger holds about the calls that a batch of events may belong to."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from relay.call import is_from_history
from relay.fold.dedup import dedup_keys
from relay.fold.forgotten import find_forgotten
from relay.fold.links import LINK_WITHIN, leg_keys, needs_number
from relay.fold.matching import TRANSFER_WITHIN, customer_number
from relay.fold.waiting import may_wait
from relay.instants import SECOND, Duration, Instant
from relay.ledger import aliases, calls, dedup, deliveries, epochs, tombstones
from relay.ledger.aliases import LEG_OF, AliasReason
from relay.ledger.calls import Among, CallRow, NumberWindow
from relay.ledger.connection import Connection
from relay.ledger.forgotten import Forgotten
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.tombstones import Tombstone

_LONGEST_CALL: Final = Duration(86_400 * SECOND)
"""How long before the arrival of an event a call with its number may have begun."""

_NEVER: Final = Instant(2**62)


class Snapshot(msgspec.Struct, frozen=True):
    """One consistent read of the ledger.

    `owners`: alias → id of its call. `calls`: id → row. `pinned`: aliases that a person split off.
    `tombstones`: id → what stays of a call that retention deleted. `version_floor`: see `epochs`.
    `first_delivered`: id → when a CRM first received the call. `seen_keys`: those of the batch's
    deduplication keys that were folded before. `forgotten`: what was erased that events of the batch are
    about; None if nothing.
    """

    owners: Mapping[str, str]
    calls: Mapping[str, CallRow]
    pinned: frozenset[str] = frozenset()
    first_delivered: Mapping[str, Instant] = {}
    seen_keys: frozenset[str] = frozenset()
    tombstones: Mapping[str, Tombstone] = {}
    version_floor: int = 0
    forgotten: Forgotten | None = None


def read_snapshot(connection: Connection, batch: Sequence[UnfoldedEvent]) -> Snapshot:
    """Read what `plan_changes` needs for this batch, which must not be empty."""
    events = [unfolded.parsed for unfolded in batch]
    ids = {alias for event in events for alias in (*event.aliases, *leg_keys(event))}
    found = aliases.get_many(connection, ids)
    owners = {alias.alias: alias.call for alias in found}
    # An event without a call begins one with this id, unless the id is taken.
    own_ids = {f"cloudtalk-{event.name}" for event in events}
    possible_ids = {*owners.values(), *own_ids}
    rows = calls.get_many(connection, possible_ids)
    deleted = tombstones.get_many(connection, possible_ids - rows.keys())
    windows = [window for unfolded in batch if (window := _number_window(unfolded, owners, rows)) is not None]
    if windows:
        numbered: dict[str, CallRow] = {}
        for among in Among:
            chosen = [window.calls for window in windows if window.among is among]
            numbered |= calls.list_by_number(connection, chosen, among)
        rows |= numbered
        found += aliases.get_many(
            connection, {a for row in numbered.values() for a in row.state.aliases} - ids
        )
    known = rows.keys() | deleted.keys()
    # A merge needs two calls, and an event with an id of each or another link.
    may_merge = len(known) > 1 and (
        bool(windows)
        or any(alias.startswith(LEG_OF) for alias in owners)
        or any(len(event.aliases) > 1 or event.is_from_history for event in events)
    )
    keys = {key for event in events for key in dedup_keys(event)}
    version_floor, key = epochs.floor_and_key(connection)
    return Snapshot(
        owners,
        rows,
        pinned=frozenset(alias.alias for alias in found if alias.reason is AliasReason.SPLIT),
        first_delivered=deliveries.first_delivered_at(connection, known) if may_merge else {},
        seen_keys=frozenset(dedup.first_seen(connection, keys)),
        tombstones=deleted,
        version_floor=version_floor,
        forgotten=None if key is None else find_forgotten(connection, key, batch),
    )


class _Window(NamedTuple):
    """Calls with a number to read."""

    calls: NumberWindow
    among: Among


def _number_window(
    unfolded: UnfoldedEvent, owners: Mapping[str, str], rows: Mapping[str, CallRow]
) -> _Window | None:
    """Return which calls with the event's number it may belong to; None if its ids decide."""
    event = unfolded.parsed
    if may_wait(event):
        # An event whose ids all belong to calls is matched by them.
        if owners.keys() >= set(event.aliases) or (number := customer_number(event)) is None:
            return None
        if not unfolded.waited:
            since = Instant(unfolded.received_at - _LONGEST_CALL)
            return _Window(NumberWindow(number, since, _NEVER), Among.OPEN)
        started_at = event.fact("started_at")
        return None if started_at is None else _Window(_around(number, started_at), Among.ALL)
    if "started_at" not in event.facts:
        return None
    own = next((rows[owners[alias]] for alias in event.aliases if owners.get(alias) in rows), None)
    if not needs_number(event, own.state if own else None) or (number := customer_number(event)) is None:
        return None
    # A link needs a call of the history.
    has_history = event.is_from_history or (own is not None and is_from_history(own.state))
    return _Window(_around(number, event.facts["started_at"]), Among.ALL if has_history else Among.HISTORY)


def _around(number: str, started_at: Instant) -> NumberWindow:
    """The start of a call in the ledger may be that of a later leg."""
    return NumberWindow(number, Instant(started_at - LINK_WITHIN), Instant(started_at + TRANSFER_WITHIN))
