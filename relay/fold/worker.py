"""The loop of the fold: it reads a snapshot, computes outside any lock, and writes one short
transaction that proves its lease.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from relay.fold.matching import dedup_keys, may_wait, number_of
from relay.fold.planning import Changes, Conflict, Snapshot, plan_changes
from relay.instants import SECOND
from relay.ledger import Ledger, LedgerError, LedgerUnavailable, calls, dedup, deliveries, journal, quarantine
from relay.ledger.journal import StoredEvent, Unfolded
from relay.ledger.lease import Lease, wait_for
from relay.ledger.quarantine import CONFLICTING_IDS, QuarantineRow
from relay.logs import get_logger

log = get_logger("relay.fold")

_BATCH: Final = 200
_LEASE_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 1.0
_GIVE_WAY_SECONDS: Final = 0.005
_LONGEST_CALL: Final = 86_400 * SECOND


class FoldWorker:
    """Folds what intake wrote down, in one process at a time."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        grace_seconds: float,
        has_backlog: Callable[[], bool],
        on_enqueue: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._lease = Lease(ledger, "fold", seconds=_LEASE_SECONDS)
        self._grace = int(grace_seconds * SECOND)
        self._has_backlog = has_backlog
        self._on_enqueue = on_enqueue
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There are new events."""
        self._wake.set()

    async def run(self) -> None:
        """Fold whatever comes, until cancelled."""
        try:
            await self._lease.serve(self._serve, _failed)
        finally:
            await self._lease.release()

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            if not await self.fold():
                await self._lease.renew()
                await wait_for(self._wake, _POLL_SECONDS)
            elif self._has_backlog():
                # Intake comes first: who was not yet answered waits for the same disk.
                await asyncio.sleep(_GIVE_WAY_SECONDS)

    async def fold(self) -> int:
        """Fold one batch; how many events were in it."""
        found = await self._ledger.read(
            lambda connection: _plan_batch(connection, _BATCH, self._ledger.now(), self._grace)
        )
        events = len(found.seqs)
        try:
            await self._write(found)
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001 - one of these cannot be written: the others go on without it
            for _ in range(events):
                await self._fold_one()
        return events

    async def _fold_one(self) -> None:
        found = await self._ledger.read(
            lambda connection: _plan_batch(connection, 1, self._ledger.now(), self._grace)
        )
        try:
            await self._write(found)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - see `fold`
            await self._write(Changes(seqs=found.seqs, failed=[(seq, error) for seq in found.seqs]))

    async def _write(self, found: Changes) -> None:
        if found.seqs:
            await self._ledger.write(lambda connection: self._apply(connection, found))
            self._report(found)

    def _apply(self, connection: Connection, found: Changes) -> None:
        self._lease.check(connection)
        now = self._ledger.now()
        calls.write(connection, found.new, found.known)
        calls.write_aliases(connection, found.aliases)
        if found.merged:
            calls.repoint(connection, found.merged)
            journal.repoint(connection, found.merged)
        journal.mark_folded(connection, found.folded)
        dedup.record(connection, found.messages)
        if found.waiting:
            journal.mark_waiting(connection, found.waiting, until=now + self._grace)
        if found.aliases:
            journal.wake(connection, [alias.alias for alias in found.aliases])
        for seq, error in found.failed:
            journal.set_aside(connection, seq, repr(error))
        self._keep_conflicts(connection, found)
        deliveries.enqueue(connection, [(call.id, call.version) for call in found.updated], now=now)

    def _keep_conflicts(self, connection: Connection, found: Changes) -> None:
        """One of a kind is enough for a person: a constant typed into a workflow meets every call."""
        for conflict in found.conflicts:
            once = f"{conflict.event.dialect}:{conflict.event.kind}:{','.join(conflict.dropped)}"
            if quarantine.contains(connection, once):
                continue
            came = journal.get(connection, conflict.seq)
            quarantine.add(connection, _conflict_row(conflict, came, once))
            log.warning(
                "fold.conflict",
                event_seq=conflict.seq,
                kind=conflict.event.kind,
                dropped=list(conflict.dropped),
            )

    def _report(self, found: Changes) -> None:
        for call in found.updated:
            log.info("call.folded", call=call.id, version=call.version, status=call.status)
        for loser, survivor in found.merged.items():
            log.info("call.merged", call=survivor, was=loser)
        for seq, error in found.failed:
            log.error("fold.set_aside", event_seq=seq, exc_info=error)
        if found.updated:
            self._on_enqueue()


def _failed(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("fold.failed", error=str(error))
    else:
        log.error("fold.failed", exc_info=error)


def _plan_batch(connection: Connection, most: int, now: int, grace: int) -> Changes:
    events = journal.unfolded(connection, most, now=now, grace=grace)
    return plan_changes(events, world_of(connection, events)) if events else Changes()


def world_of(connection: Connection, events: Sequence[Unfolded]) -> Snapshot:
    """What the ledger knows of the calls that these events may belong to."""
    readings = [event.reading for event in events]
    wanted = {alias for reading in readings for alias in reading.aliases}
    owners = calls.by_alias(connection, wanted)
    named = {f"cloudtalk-{reading.name}" for reading in readings}
    keys = {key for reading in readings for key in dedup_keys(reading)}
    numbers = {number for reading in readings if may_wait(reading) and (number := number_of(reading))}
    earliest = min(event.received_at for event in events) - _LONGEST_CALL
    known = calls.by_id(connection, {*owners.values(), *named})
    if numbers:
        known |= calls.by_number(connection, numbers, since=earliest)
    return Snapshot(
        owners,
        known,
        pinned=calls.pinned(connection, wanted),
        delivered=deliveries.first_delivered(connection, known) if len(known) > 1 else {},
        messages=frozenset(dedup.first_seen(connection, keys)),
    )


def _conflict_row(conflict: Conflict, came: StoredEvent, once: str) -> QuarantineRow:
    dropped = ", ".join(conflict.dropped)
    return QuarantineRow(
        received_at=came.received_at,
        reason=CONFLICTING_IDS,
        message=f"{dropped} belongs to another call: the event was folded without it (a typed constant?)",
        pointer="",
        content_type=came.content_type,
        path=came.path,
        query=came.query,
        raw=came.raw,
        once=once,
    )
