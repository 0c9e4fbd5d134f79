"""A ledger of plain dictionaries, to fold thousands of generated calls without a database."""

from collections.abc import Sequence
from typing import Final

from relay.call import CallEvent
from relay.fold import Changes, Snapshot, plan_changes
from relay.instants import SECOND, Instant
from relay.ledger.calls import CallRow
from relay.ledger.journal import UnfoldedEvent
from tests.support.samples import T0

_FIRST_ARRIVAL: Final = Instant(T0 + 3_600 * SECOND)


class MemoryLedger:
    """The rows that a ledger has after each batch, and the `changes` of each batch."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.rows: dict[str, CallRow] = {}
        self.first_delivered: dict[str, Instant] = {}
        self.seen_keys: set[str] = set()
        self.waiting: dict[int, tuple[str, UnfoldedEvent]] = {}
        self.changes: list[Changes] = []
        self._seq = 0

    def append(self, events: Sequence[CallEvent]) -> list[UnfoldedEvent]:
        """Number these events in the order of their arrival, a millisecond apart."""
        appended = []
        for event in events:
            self._seq += 1
            received_at = Instant(_FIRST_ARRIVAL + self._seq * 1_000)
            appended.append(UnfoldedEvent(self._seq, received_at, event, waited=False))
        return appended

    def fold_each(self, *events: CallEvent) -> None:
        """Append these events and fold them one by one."""
        for unfolded in self.append(events):
            self.fold([unfolded])

    def fold(self, batch: Sequence[UnfoldedEvent]) -> None:
        """Fold this batch, and then the waiting events that it linked to a call."""
        snapshot = Snapshot(
            self.owners,
            self.rows,
            first_delivered=self.first_delivered,
            seen_keys=frozenset(self.seen_keys),
        )
        changes = plan_changes(batch, snapshot)
        self.changes.append(changes)
        self._write(changes, {unfolded.seq: unfolded for unfolded in batch})
        linked = [unfolded for alias, unfolded in self.waiting.values() if alias in self.owners]
        for unfolded in linked:
            del self.waiting[unfolded.seq]
        if linked:
            self.fold(linked)

    def _write(self, changes: Changes, batch: dict[int, UnfoldedEvent]) -> None:
        self.rows |= {row.id: row for row in changes.new_rows + changes.changed_rows}
        self.owners |= {alias.alias: alias.call for alias in changes.aliases}
        self.owners = {alias: changes.merged.get(call, call) for alias, call in self.owners.items()}
        self.seen_keys |= {key for key, _ in changes.dedup_keys}
        self.waiting |= {seq: (alias, batch[seq]) for seq, alias in changes.waiting}
        assert not changes.failed

    def deliver_all(self) -> None:
        """Record that a CRM received every call, in the order of the rows."""
        for call in self.rows:
            self.first_delivered.setdefault(call, Instant(T0 + len(self.first_delivered)))

    def end_grace(self) -> None:
        """Fold the waiting events, whose grace period ends without a link."""
        due = [UnfoldedEvent(e.seq, e.received_at, e.parsed, waited=True) for _, e in self.waiting.values()]
        self.waiting = {}
        for unfolded in due:
            self.fold([unfolded])

    @property
    def live_rows(self) -> list[CallRow]:
        """The rows of the calls that were not merged into another call."""
        return [row for row in self.rows.values() if row.record.merged_into is None]

    @property
    def only_row(self) -> CallRow:
        """The row of the only call; fails if there are several."""
        (row,) = self.live_rows
        return row
