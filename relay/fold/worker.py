"""The fold worker: reads a snapshot, plans without any lock, writes one short transaction.

A few events that have just arrived are read, planned and written in one transaction: to pass the work from
thread to thread would take longer than their plan.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from relay import tracing
from relay.fold.batch_size import FEW, BatchSize
from relay.fold.changes import Changes, plan_changes
from relay.fold.options import FoldOptions
from relay.fold.snapshot import read_snapshot
from relay.fold.trace import trace_fold
from relay.fold.write import Written, write_changes
from relay.instants import SECOND
from relay.ledger import Ledger, LedgerError, LedgerUnavailable, journal
from relay.ledger.connection import Connection
from relay.ledger.errors import CallPruned
from relay.ledger.journal import UnfoldedEvents
from relay.ledger.lease_holder import Lease
from relay.logs import get_logger
from relay.measurements import FOLD_LAG, FORGOTTEN_EVENTS
from relay.standards.wake_up import WakeUp

log = get_logger("relay.fold")

_YIELD_SECONDS: Final = 0.005
_WAL_SECONDS: Final = 0.1
"""How long to wait for readers before the WAL is emptied: requests wait for the same thread."""


class FoldWorker:
    """Folds the journal's events. Of all processes only the holder of the lease `fold` does.

    `has_backlog`: whether ingest has events to commit. `on_enqueue`: called when deliveries are pending.
    `poll_seconds`: how often to look for events that another process appended without a notification.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        options: FoldOptions,
        has_backlog: Callable[[], bool],
        on_enqueue: Callable[[], None],
        poll_seconds: float = 1.0,
        lease_seconds: float = 15.0,
    ) -> None:
        self.lease = Lease(ledger, "fold", seconds=lease_seconds)
        self._ledger = ledger
        self._options = options
        self._has_backlog = has_backlog
        self._on_enqueue = on_enqueue
        self._poll_seconds = poll_seconds
        # Set whenever there may be events to fold: by ingest and other processes (`wake`), by a batch whose
        # limits left events, and by a batch that ended the wait of others. A batch clears it as it begins.
        self._wake = WakeUp()
        self._batch_size = BatchSize()
        self._wal_has_forgotten = False

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
            folded = await self.fold_batch()
            await self.lease.renew()
            if self._wal_has_forgotten and not folded:
                self._wal_has_forgotten = not await self._ledger.empty_wal(seconds=_WAL_SECONDS)
            if self._has_backlog():
                # Ingest uses the same disk, and its senders wait for an answer.
                await asyncio.sleep(_YIELD_SECONDS)
            await self._wake.wait(self._poll_seconds)  # returns at once if it was set during the batch

    async def fold_batch(self) -> int:
        """Fold the next batch and return its number of events. The lease must be held.

        Raises `LedgerUnavailable`, and the next batch is smaller then.
        """
        is_woken = self._wake.is_set()  # a poll, which finds no event as a rule, only reads
        self._wake.clear()
        try:
            if is_woken and self._batch_size.expects_few and self._ledger.writes_see_one_snapshot:
                size = await self._fold_in_one_transaction()
            else:
                size = await self._fold_in_two_steps(self._batch_size.events)
        except LedgerUnavailable as error:
            if self._batch_size.note_failure(error):
                await self._set_next_aside(error)
            raise
        self._batch_size.note_success(size)
        return size

    async def _set_next_aside(self, error: Exception) -> None:
        batch = await self._ledger.read(lambda connection: self._list_unfolded(connection, 1))
        await self._set_aside([event.seq for event in batch.events], error)

    async def _set_aside(self, seqs: list[int], error: Exception) -> None:
        await self._write(Changes(seqs=seqs, failed=[(seq, error) for seq in seqs]))

    # --- a few events: one transaction ----------------------------------------------------------

    async def _fold_in_one_transaction(self) -> int:
        try:
            changes, has_more, written = await self._ledger.write(self._plan_and_apply)
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001 - the rows of one event cannot be written: find it
            return await self._fold_in_two_steps(FEW)
        if has_more:
            self.wake()
        self._finish(changes, written)
        return len(changes.seqs)

    def _plan_and_apply(self, connection: Connection) -> tuple[Changes, bool, Written]:
        """Runs in the ledger's thread, which must not wake the event loop's tasks: the caller does."""
        changes, has_more = self._read_and_plan(connection, FEW)
        return changes, has_more, self._apply(connection, changes) if changes.seqs else Written()

    # --- many events: a read and a plan, then a transaction -------------------------------------

    async def _fold_in_two_steps(self, most: int) -> int:
        changes = await self._plan_batch(most)
        size = len(changes.seqs)
        try:
            await self._write(changes)
        except CallPruned:
            return await self._fold_in_two_steps(most)  # planned from a snapshot that is out of date
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
            await self._set_aside(changes.seqs, error)

    async def _plan_batch(self, most: int) -> Changes:
        changes, has_more = await self._ledger.read(lambda connection: self._read_and_plan(connection, most))
        if has_more:
            self.wake()
        return changes

    async def _write(self, changes: Changes) -> None:
        if changes.seqs:
            self._finish(changes, await self._ledger.write(lambda c: self._apply(c, changes)))

    # --- both -----------------------------------------------------------------------------------

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
            grace=self._options.grace,
            max_bytes=self._batch_size.bytes,
        )

    def _apply(self, connection: Connection, changes: Changes) -> Written:
        """Write the changes if the lease is still held."""
        self.lease.check(connection)
        return write_changes(connection, changes, self._options, now=self._ledger.now())

    def _finish(self, changes: Changes, written: Written) -> None:
        """Log what was written, and wake who continues with it."""
        if written.requeued:
            self.wake()
        now = self._ledger.now()
        for event in changes.folded_events:
            FOLD_LAG.observe(max(now - event.received_at, 0) / SECOND)  # a clock may have been set back
        if (tracer := tracing.current()) is not None:
            trace_fold(tracer, changes, now)
        _log_changes(changes, written)
        if changes.forgotten:
            FORGOTTEN_EVENTS.add(amount=len(changes.forgotten))
            self._wal_has_forgotten = True
        if changes.updated:  # with it all that follows from it
            self._on_enqueue()


def _log_changes(changes: Changes, written: Written) -> None:
    for call in changes.updated:
        log.info("call.folded", call=call.id, version=call.version, status=call.status)
    for call in written.called_back:
        log.info("call.called_back", call=call.id, version=call.version, at=call.called_back_at)
    for loser, survivor in changes.merged.items():
        log.info("call.merged", call=survivor, was=loser)
    for id_, number in changes.excess.items():
        log.warning("fold.too_many_ids", call=id_, events=number)
    if changes.forgotten:
        log.info("event.forgotten", events=len(changes.forgotten))
    for seq, error in changes.failed:
        log.error("fold.set_aside", event_seq=seq, exc_info=error)


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("fold.failed", error=str(error))
    else:
        log.error("fold.failed", exc_info=error)
