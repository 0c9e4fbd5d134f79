"""What the ledger holds about the calls that a batch of events may belong to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from relay.call import CallEvent, CallState, HasFacts, is_from_history, is_only_from_history
from relay.fold.dedup import dedup_keys
from relay.fold.forgotten import find_forgotten
from relay.fold.links import LINK_WITHIN, Stated, has_call_id, leg_keys, needs_number, stated_time, states_end
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
_MOST_OTHERS: Final = 20
"""Of so many events of a batch with one id the facts are combined. A typed constant may have thousands."""


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


def read_snapshot(
    connection: Connection, batch: Sequence[UnfoldedEvent], *, looks_around: bool = False
) -> Snapshot:
    """Read what `plan_changes` needs for this batch, which must not be empty.

    `looks_around`: read the calls with the number and the time of each event, unless webhooks stated its ids.
    """
    events = [unfolded.parsed for unfolded in batch]
    ids = {alias for event in events for alias in (*event.aliases, *leg_keys(event))}
    found = aliases.get_many(connection, ids)
    owners = {alias.alias: alias.call for alias in found}
    # An event without a call begins one with this id, unless the id is taken.
    own_ids = {f"cloudtalk-{event.name}" for event in events}
    possible_ids = {*owners.values(), *own_ids}
    rows = calls.get_many(connection, possible_ids)
    deleted = tombstones.get_many(connection, possible_ids - rows.keys())
    windows = _number_windows(batch, owners, rows, looks_around=looks_around)
    if windows:
        numbered: dict[str, CallRow] = {}
        for among in Among:
            chosen = _unite(window.calls for window in windows if window.among is among)
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


def _number_windows(
    batch: Sequence[UnfoldedEvent],
    owners: Mapping[str, str],
    rows: Mapping[str, CallRow],
    *,
    looks_around: bool,
) -> list[_Window]:
    finder = _WindowFinder(batch, owners, rows)
    windows = [window for unfolded in batch if (window := finder.find(unfolded)) is not None]
    if looks_around:
        windows += [window for each in batch if (window := finder.look_around(each.parsed)) is not None]
    return windows


def _unite(windows: Iterable[NumberWindow]) -> list[NumberWindow]:
    """Unite windows that overlap: a call of a busy number would be read once for each event of the batch."""
    united: list[NumberWindow] = []
    for window in sorted(windows):
        last = united[-1] if united else None
        if last is not None and last.number == window.number and window.since <= last.until:
            united[-1] = last._replace(until=max(last.until, window.until))
        else:
            united.append(window)
    return united


class _WindowFinder:
    """Finds out which calls with its number each event of a batch may belong to."""

    def __init__(
        self, batch: Sequence[UnfoldedEvent], owners: Mapping[str, str], rows: Mapping[str, CallRow]
    ) -> None:
        self._batch = batch
        self._owners = owners
        self._rows = rows
        self._by_alias: defaultdict[str, list[CallEvent]] | None = None

    def find(self, unfolded: UnfoldedEvent) -> _Window | None:
        """Return which calls with the event's number it may belong to; None if its ids decide."""
        event = unfolded.parsed
        return self._find_for_waiting(unfolded) if may_wait(event) else self._find_for_link(event)

    def look_around(self, event: CallEvent) -> _Window | None:
        """Return the calls with the event's number at its time; None if a webhook is known of its call."""
        own = self._own_state(event)
        around = None if own is not None and not is_only_from_history(own) else _around(event)
        return None if around is None else _Window(around, Among.ALL)

    def _find_for_waiting(self, unfolded: UnfoldedEvent) -> _Window | None:
        event = unfolded.parsed
        # An event whose ids all belong to calls is matched by them.
        if self._owners.keys() >= set(event.aliases) or (number := customer_number(event)) is None:
            return None
        if not unfolded.waited:
            since = Instant(unfolded.received_at - _LONGEST_CALL)
            return _Window(NumberWindow(number, since, _NEVER), Among.OPEN)
        around = None if event.fact("started_at") is None else _around(event)
        return None if around is None else _Window(around, Among.ALL)

    def _find_for_link(self, event: CallEvent) -> _Window | None:
        facts, number = event.facts, customer_number(event)
        if "started_at" not in facts and number is None and not states_end(event):
            return None
        own = self._own_state(event)
        is_history = own is not None and is_from_history(own)
        source = Stated(event, own)
        if own is None or customer_number(own) is None or stated_time(own) is None:
            # Other events of the batch may state what this one lacks.
            if not event.is_from_history and has_call_id(event.aliases):
                return None
            if number is None or "started_at" not in facts:
                source = self._with_others(event, own)
        elif not needs_number(event, own, is_history=is_history):
            return None
        # A link needs a call of the history.
        around = _around(source)
        has_history = event.is_from_history or is_history
        return None if around is None else _Window(around, Among.ALL if has_history else Among.HISTORY)

    def _own_state(self, event: CallEvent) -> CallState | None:
        owners, rows = self._owners, self._rows
        return next((rows[owners[alias]].state for alias in event.aliases if owners.get(alias) in rows), None)

    def _with_others(self, event: CallEvent, own: CallState | None) -> Stated:
        """What the ledger knows of the event's call, and what all events of the batch state about it."""
        if self._by_alias is None:
            self._by_alias = defaultdict(list)
            for unfolded in self._batch:
                for alias in unfolded.parsed.aliases:
                    self._by_alias[alias].append(unfolded.parsed)
        known: HasFacts | None = own
        for alias in event.aliases:
            for other in self._by_alias[alias][:_MOST_OTHERS]:
                known = Stated(other, known)
        return Stated(event, known)


def _around(source: HasFacts) -> NumberWindow | None:
    """The calls with this number at this time; None if one of both is unknown.

    The start of a call in the ledger may be that of a later leg, or its end, or the arrival of its events.
    """
    number, started_at, ended_at = customer_number(source), source.fact("started_at"), source.fact("ended_at")
    first = ended_at - _LONGEST_CALL if started_at is None and ended_at is not None else started_at
    if number is None or first is None:
        return None
    last = max(first + TRANSFER_WITHIN, ended_at or first)
    return NumberWindow(number, Instant(first - LINK_WITHIN), Instant(last + LINK_WITHIN))
