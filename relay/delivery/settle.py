"""Write the result of a push: the states of its deliveries and the pause of the destination.

All of it is one transaction that checks the lease first, so that a worker whose lease has expired writes
nothing.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from crm_clients.base import Delivered, Outcome, Rejected, Unknown
from relay.call import Call, minimal_call
from relay.delivery import transitions
from relay.delivery.attempt_rows import attempt_rows
from relay.delivery.choose_action import REMOVALS, Action, PlannedDelivery
from relay.delivery.last_delivery import LastDelivery
from relay.delivery.log import log_dead, log_pause
from relay.delivery.pauses import RUN_OF_REJECTIONS, PauseChange, Pauses
from relay.delivery.retry_policy import RetryPolicy
from relay.instants import Instant, duration
from relay.ledger import Ledger, LedgerError, attempts, delivered_counts, deliveries, destinations
from relay.ledger.attempts import AttemptRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.destinations import DestinationRow, Pause
from relay.ledger.lease_holder import Lease
from relay.ledger.states import DeliveryState


class Settled(NamedTuple):
    """The destination after a push was settled.

    `next_due_at`: when the next delivery is due that is not busy; None if none is pending.
    `changes_pause`: whether it paused or resumed.
    """

    next_due_at: Instant | None
    changes_pause: bool


class _Written(NamedTuple):
    """What only the ledger knows: see `Settled`, and the pause after a run of rejections if there is one."""

    next_due_at: Instant | None
    pause_after_run: Pause | None


class Settler:
    """Settles the pushes of one destination. Each method raises `LeaseLost` if another worker serves it.

    `busy`: the ids of the calls that are being pushed and not settled.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        destination: str,
        policy: RetryPolicy,
        pauses: Pauses,
        jitter: Callable[[], float],
        rendering: str,
        forget_fields: Collection[str] = (),
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._name = destination
        self._policy = policy
        self._pauses = pauses
        self._jitter = jitter
        self.rendering = rendering
        self._forget_fields = forget_fields
        self._last_delivery = LastDelivery()

    def reset(self) -> None:
        """Forget what was settled: another worker may have served the destination since."""
        self._last_delivery.reset()

    async def settle_push(
        self,
        batch: Sequence[PlannedDelivery],
        outcomes: Sequence[Outcome | None],
        destination: DestinationRow,
        *,
        seconds: float,
        probed: DestinationRow | None,
        busy: Collection[str],
    ) -> Settled:
        """Write the outcomes of a push, one per delivery, and its attempts.

        `seconds`: its duration. `destination`: its latest row; `probed`: its row when the push began, if it
        was a probe.
        """
        now, due = self._ledger.now(), [planned.due for planned in batch]
        # Decided before the transaction, which may run twice: the circuit breaker counts each push once.
        change = (
            self._pauses.pause_after_push(due, outcomes)
            if probed is None
            else self._pauses.resume_after_probe(due, outcomes, probed)
        )
        delivered_at = (probed or destination).delivered_at
        updates = self._updates(batch, outcomes, change, now, delivered_at)
        tried = attempt_rows(self._name, batch, outcomes, at=now, seconds=seconds)
        writes_delivered_at = self._last_delivery.note_push(outcomes)
        new_calls = _count_new_calls(batch, outcomes)
        erased = _list_erased(batch, updates)
        next_due_at, pause_after_run = await self._ledger.write(
            lambda connection: self._write(
                connection,
                updates,
                change,
                now,
                tried=tried,
                busy=busy,
                writes_delivered_at=writes_delivered_at,
                new_calls=new_calls,
                erased=erased,
            )
        )
        if pause_after_run is None:  # the deliveries of a run of rejections are pending again
            log_dead(self._name, due, updates)
        pause = pause_after_run or change.pause
        log_pause(self._name, due, pause, resumed=change.resumes)
        return Settled(next_due_at, changes_pause=pause is not None or change.resumes)

    async def settle_without_request(
        self, batch: Sequence[PlannedDelivery], *, busy: Collection[str]
    ) -> Instant | None:
        """Write the deliveries whose action sends nothing. Return when the next one is due that is not busy;
        None if none is pending.
        """
        now = self._ledger.now()
        held, kept, updates = [], [], []
        for planned in batch:
            call = planned.due.call
            if planned.held_until is not None and planned.action is Action.HOLD:
                # No longer than a backoff, so that a clock that is set back delays it no more than others.
                until = min(planned.held_until, Instant(now + self._policy.longest_delay))
                held.append((call.id, call.version, until))
            elif planned.action is Action.KEEP:
                kept.append((call.id, call.version))
            else:
                updates.append(transitions.without_request(planned, now=now))

        def write(connection: Connection) -> Instant | None:
            deliveries.hold(connection, self._name, held)
            deliveries.keep(connection, self._name, kept)
            return self._write(connection, updates, PauseChange(), now, busy=busy).next_due_at

        return await self._ledger.write(write)

    async def requeue_after_lost_lease(
        self, due: Sequence[DueDelivery], outcomes: Sequence[Outcome | None]
    ) -> None:
        """Make the deliveries pending again whose requests may have reached the CRM after those of the worker
        that holds the lease now. If the ledger fails, they stay as that worker settled them.
        """
        pushed = [
            (delivery.call.id, delivery.delivered_version)
            for delivery, outcome in zip(due, outcomes, strict=True)
            if isinstance(outcome, Delivered | Unknown)
        ]
        records = [
            (self._minimal(delivery.call), getattr(outcome, "remote_id", None) or delivery.remote_id)
            for delivery, outcome in zip(due, outcomes, strict=True)
            if isinstance(outcome, Delivered | Unknown) and not delivery.erase
        ]
        now = self._ledger.now()

        def write(connection: Connection) -> None:
            deliveries.requeue_after_lost_lease(connection, self._name, pushed, now=now)
            deliveries.erase_again(connection, self._name, records, now=now)

        with suppress(LedgerError):
            await self._ledger.write(write)

    def _minimal(self, call: Call) -> Call:
        return minimal_call(call.id, version=call.version + 1, of=call, fields=self._forget_fields)

    def _updates(
        self,
        batch: Sequence[PlannedDelivery],
        outcomes: Sequence[Outcome | None],
        change: PauseChange,
        now: Instant,
        delivered_at: Instant | None,
    ) -> list[DeliveryUpdate]:
        if change.probe_failure is not None:
            failure = change.probe_failure
            return [transitions.after_failed_probe(p.due, failure, self._policy, now=now) for p in batch]
        jitter = self._jitter()
        updates = (
            transitions.after_push(
                planned,
                outcome,
                self._policy,
                now=now,
                delivered_at=delivered_at,
                jitter=jitter,
                rendering=self.rendering,
            )
            for planned, outcome in zip(batch, outcomes, strict=True)
            if outcome is not None
        )
        return [update for update in updates if update is not None]

    def _write(
        self,
        connection: Connection,
        updates: Sequence[DeliveryUpdate],
        change: PauseChange,
        now: Instant,
        *,
        tried: Sequence[AttemptRow] = (),
        busy: Collection[str],
        writes_delivered_at: bool = False,
        new_calls: int = 0,
        erased: Collection[str] = (),
    ) -> _Written:
        self._lease.check(connection)
        deliveries.settle(connection, self._name, updates, now=now)
        attempts.add(connection, tried)
        deliveries.finish_erasures(connection, self._name, erased)
        delivered_counts.add(connection, self._name, new_calls, now=now)
        if writes_delivered_at:
            destinations.set_delivered_at(connection, self._name, now=now)
        pause_after_run = self._pause_after_rejections(connection, change.rejected, now)
        pause = pause_after_run or change.pause
        if pause is not None:
            until = Instant(now + duration(pause.seconds))
            destinations.pause_until(connection, self._name, pause, until=until, now=now)
        elif change.resumes:
            destinations.end_pause(connection, self._name)
        if pause is None and change.retry_up_to_attempts:
            deliveries.end_backoff(connection, self._name, now=now, max_attempts=change.retry_up_to_attempts)
        return _Written(deliveries.next_due_at(connection, self._name, busy=busy), pause_after_run)

    def _pause_after_rejections(
        self, connection: Connection, rejected: Rejected | None, now: Instant
    ) -> Pause | None:
        if rejected is None or rejected.code is None:
            return None
        count = deliveries.requeue_rejected_run(
            connection, self._name, rejected.code, min_length=RUN_OF_REJECTIONS, now=now
        )
        return self._pauses.after_rejections(rejected, count) if count else None


def _count_new_calls(batch: Sequence[PlannedDelivery], outcomes: Sequence[Outcome | None]) -> int:
    """Return how many calls the CRM got that it did not have."""
    return sum(
        isinstance(outcome, Delivered)
        and not planned.due.delivered_version
        and planned.action not in REMOVALS
        for planned, outcome in zip(batch, outcomes, strict=True)
    )


def _list_erased(batch: Sequence[PlannedDelivery], updates: Sequence[DeliveryUpdate]) -> list[str]:
    """Return the calls of which the CRM has no trace any more."""
    erasures = {planned.due.call.id for planned in batch if planned.action is Action.ERASE}
    return [u.call for u in updates if u.call in erasures and u.state is DeliveryState.RETRACTED]
