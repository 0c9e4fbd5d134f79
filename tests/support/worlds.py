"""A ledger of plain dictionaries: for folding thousands of made-up calls without a database."""

from collections.abc import Sequence

from relay.call import CallEvent
from relay.fold import Changes, Snapshot, plan_changes
from relay.ledger.calls import CallRow
from relay.ledger.journal import Unfolded

T0 = 1_732_789_800_000_000  # 2024-11-28T10:30:00Z


class MemoryWorld:
    """What a ledger would know after each batch. `deliver` says that the CRMs have everything."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.rows: dict[str, CallRow] = {}
        self.pinned: set[str] = set()
        self.delivered: dict[str, int] = {}
        self.messages: set[str] = set()
        self.waiting: dict[int, tuple[str, Unfolded]] = {}
        self.plans: list[Changes] = []
        self._seq = 0

    def arrive(self, readings: Sequence[CallEvent]) -> list[Unfolded]:
        """Number these events in the order of their arrival, a millisecond apart."""
        arrived = []
        for reading in readings:
            self._seq += 1
            arrived.append(Unfolded(self._seq, T0 + 3_600_000_000 + self._seq * 1_000, reading))
        return arrived

    def fold(self, events: Sequence[Unfolded]) -> Changes:
        """Fold this batch, and what it woke."""
        found = plan_changes(
            events,
            Snapshot(
                self.owners, self.rows, frozenset(self.pinned), self.delivered, frozenset(self.messages)
            ),
        )
        self.plans.append(found)
        self._write(found, {event.seq: event for event in events})
        woken = [event for alias, event in self.waiting.values() if alias in self.owners]
        for event in woken:
            del self.waiting[event.seq]
        if woken:
            self.fold(woken)
        return found

    def _write(self, found: Changes, events: dict[int, Unfolded]) -> None:
        self.rows |= {row.id: row for row in found.new + found.known}
        self.owners |= {alias.alias: alias.call for alias in found.aliases}
        self.owners = {alias: found.merged.get(call, call) for alias, call in self.owners.items()}
        self.messages |= {key for key, _ in found.messages}
        self.waiting |= {seq: (alias, events[seq]) for seq, alias in found.waiting}
        assert not found.failed

    def deliver(self) -> None:
        """Every call that there is stands in a CRM now."""
        for call in self.rows:
            self.delivered.setdefault(call, T0 + len(self.delivered))

    def end_grace(self) -> None:
        """No link came for what waits."""
        due = [Unfolded(e.seq, e.received_at, e.reading, waited=True) for _, e in self.waiting.values()]
        self.waiting = {}
        for event in due:
            self.fold([event])

    @property
    def living(self) -> list[CallRow]:
        """The calls that are records still."""
        return [row for row in self.rows.values() if row.record.merged_into is None]
