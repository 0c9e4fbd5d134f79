"""The fold worker: reads a snapshot, plans without any lock, writes one short transaction.

A few events that have just arrived are read, planned and written in one transaction: to pass the work from
thread to thread would take longer than their plan.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from relay import tracing
from relay.fold.changes import Changes, plan_changes
from relay.fold.conflicts import quarantine_conflicts
from relay.fold.snapshot import read_snapshot
from relay.fold.trace import trace_fold
from relay.instants import SECOND, Instant, duration
from relay.ledger import (
    Ledger,
    LedgerError,
    LedgerUnavailable,
    aliases,
    calls,
    dedup,
    deliveries,
    journal,
    recordings,
)
from relay.ledger.connection import Connection
from relay.ledger.errors import CallPruned, LedgerTimeout
from relay.ledger.journal import UnfoldedEvents
from relay.ledger.lease_holder import Lease
from relay.logs import get_logger
from relay.measurements import FOLD_LAG
from relay.standards.wake_up import WakeUp

log = get_logger("relay.fold")

_BATCH: Final = 200
"""The states of all their calls are in memory together, and no limit of bytes applies to them."""

_FEW: Final = 16
"""Fewer events than these are folded in one transaction: to plan them takes about as long as a commit."""

_MAX_TIMEOUTS: Final = 3
"""After this number of timeouts an event that is folded alone is set aside. Before each try the ledger could
be written, to acquire the lease."""

_YIELD_SECONDS: Final = 0.005


class FoldWorker:
    """Folds the journal's events. Of all processes only the holder of the lease `fold` does.

    `has_backlog`: whether ingest has events to commit. `on_enqueue`: called when deliveries are pending.
    `archives_recordings`: whether the recordings of calls are enqueued for the archive.
    `poll_seconds`: how often to look for events that another process appended without a notification.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        grace_seconds: float,
        has_backlog: Callable[[], bool],
        on_enqueue: Callable[[], None],
        archives_recordings: bool = False,
        poll_seconds: float = 1.0,
        lease_seconds: float = 15.0,
    ) -> None:
        self.lease = Lease(ledger, "fold", seconds=lease_seconds)
        self._ledger = ledger
        self._grace = duration(grace_seconds)
        self._has_backlog = has_backlog
        self._on_enqueue = on_enqueue
        self._archives_recordings = archives_recordings
        self._poll_seconds = poll_seconds
        self._wake = WakeUp()
        # A batch has 1/divisor of the usual events and bytes.
        self._divisor = 1
        self._last_size = 0
        self._timeouts = 0

    def wake(self) -> None:
        """Look for new events now."""
        self._wake.set()

    async def run(self) -> None:
        """Fold until cancelled, whenever the lease is held."""
        try:
            await self.lease.serve(self._serve, _log_failure)
        finally:
            await self.lease.release()

    async def _serve(self) -> None:
        while True:
            await self.fold_batch()
            await self.lease.renew()
            if self._has_backlog():
                # Ingest uses the same disk, and its senders wait for an answer.
                await asyncio.sleep(_YIELD_SECONDS)
            # Returns at once if the limits of the batch left events, if a wait ended (`_finish`), or if
            # ingest called `wake` during the batch.
            await self._wake.wait(self._poll_seconds)

    async def fold_batch(self) -> int:
        """Fold the next batch and return its number of events. The lease must be held.

        After `LedgerUnavailable` the next batch is half as large: this one may have been too large for the
        memory or for the time limit of a transaction.
        """
        is_woken = self._wake.is_set()  # a poll, which finds no event as a rule, only reads
        self._wake.clear()
        try:
            if is_woken and self._may_fold_few():
                self._last_size = await self._fold_few()
            else:
                self._last_size = await self._fold_batch(max(_BATCH // self._divisor, 1))
        except LedgerUnavailable as error:
            await self._reduce_batch(error)
            raise
        self._divisor = max(self._divisor // 2, 1)
        self._timeouts = 0
        return self._last_size

    def _may_fold_few(self) -> bool:
        """Whether one transaction is right for new events. After a failure the fold proceeds step by step."""
        return self._ledger.writes_see_one_snapshot and self._last_size < _FEW and self._divisor == 1

    async def _reduce_batch(self, error: LedgerUnavailable) -> None:
        if self._divisor < _BATCH:
            self._divisor *= 2
        elif isinstance(error, LedgerTimeout):
            self._timeouts += 1
            if self._timeouts == _MAX_TIMEOUTS:
                self._timeouts = 0
                await self._set_next_aside(error)

    async def _set_next_aside(self, error: Exception) -> None:
        batch = await self._ledger.read(lambda connection: self._list_unfolded(connection, 1))
        seqs = [event.seq for event in batch.events]
        await self._write(Changes(seqs=seqs, failed=[(seq, error) for seq in seqs]))

    async def _fold_few(self) -> int:
        try:
            changes, has_more, requeued = await self._ledger.write(self._plan_and_apply)
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001 - the rows of one event cannot be written: find it
            return await self._fold_batch(_FEW)
        if has_more:
            self.wake()
        self._finish(changes, requeued)
        return len(changes.seqs)

    def _plan_and_apply(self, connection: Connection) -> tuple[Changes, bool, int]:
        changes, has_more = self._read_and_plan(connection, _FEW)
        return changes, has_more, self._apply(connection, changes) if changes.seqs else 0

    async def _fold_batch(self, most: int) -> int:
        changes = await self._plan_batch(most)
        size = len(changes.seqs)
        try:
            await self._write(changes)
        except CallPruned:
            return await self._fold_batch(most)  # planned from a snapshot that is out of date
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001 - the rows of one event cannot be written: find it, fold the others
            for _ in range(size):
                await self._fold_single()
        return size

    async def _fold_single(self) -> None:
        changes = await self._plan_batch(1)
        try:
            await self._write(changes)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - this is the event: set it aside
            await self._write(Changes(seqs=changes.seqs, failed=[(seq, error) for seq in changes.seqs]))

    async def _plan_batch(self, most: int) -> Changes:
        changes, has_more = await self._ledger.read(lambda connection: self._read_and_plan(connection, most))
        if has_more:
            self.wake()
        return changes

    def _read_and_plan(self, connection: Connection, most: int) -> tuple[Changes, bool]:
        planned_at = self._ledger.now()
        batch, has_more = self._list_unfolded(connection, most)
        changes = plan_changes(batch, read_snapshot(connection, batch)) if batch else Changes()
        changes.planned_at = planned_at
        return changes, has_more

    def _list_unfolded(self, connection: Connection, most: int) -> UnfoldedEvents:
        return journal.list_unfolded(
            connection,
            most,
            now=self._ledger.now(),
            grace=self._grace,
            max_bytes=journal.MAX_FOLD_BYTES // self._divisor,
        )

    async def _write(self, changes: Changes) -> None:
        if changes.seqs:
            self._finish(changes, await self._ledger.write(lambda c: self._apply(c, changes)))

    def _apply(self, connection: Connection, changes: Changes) -> int:
        """Write the changes, and return the number of events that waited and can be folded now."""
        self.lease.check(connection)
        now = self._ledger.now()
        calls.write(connection, changes.new_rows, changes.changed_rows)
        aliases.add(connection, changes.aliases)
        if changes.continued:
            calls.set_pruned(connection, changes.continued, now=now)
        if changes.merged:
            aliases.reassign_merged(connection, changes.merged)
            journal.reassign_merged(connection, changes.merged)
        if changes.folded:
            journal.mark_folded(connection, changes.folded, now=now)
        dedup.record(connection, changes.dedup_keys)
        if changes.waiting:
            journal.mark_waiting(connection, changes.waiting, until=Instant(now + self._grace))
        for seq, error in changes.failed:
            journal.set_aside(connection, seq, repr(error))
        quarantine_conflicts(connection, changes.conflicts)
        if changes.updated:
            deliveries.enqueue(connection, [(call.id, call.version) for call in changes.updated], now=now)
            if self._archives_recordings:
                recordings.enqueue(connection, changes.updated, now=now)
        if changes.aliases:
            return journal.requeue_waiting(connection, [alias.alias for alias in changes.aliases])
        return 0

    def _finish(self, changes: Changes, requeued: int) -> None:
        """Log what was written, and wake who continues with it."""
        if requeued:
            self.wake()
        now = self._ledger.now()
        for event in changes.folded_events:
            FOLD_LAG.observe(max(now - event.received_at, 0) / SECOND)  # a clock may have been set back
        if (tracer := tracing.current()) is not None:
            trace_fold(tracer, changes, now)
        for call in changes.updated:
            log.info("call.folded", call=call.id, version=call.version, status=call.status)
        for loser, survivor in changes.merged.items():
            log.info("call.merged", call=survivor, was=loser)
        for id_, number in changes.excess.items():
            log.warning("fold.too_many_ids", call=id_, events=number)
        for seq, error in changes.failed:
            log.error("fold.set_aside", event_seq=seq, exc_info=error)
        if changes.updated:
            self._on_enqueue()


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("fold.failed", error=str(error))
    else:
        log.error("fold.failed", exc_info=error)
