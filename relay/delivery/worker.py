"""The delivery worker of one destination: takes due deliveries, pushes the newest versions, settles them.

Over all processes only the holder of a lease serves a destination, so that rate limits, the order of the
calls and pauses need no shared counters. No transaction is open during a request.

The ledger is read only when a delivery may be due (`next_due`). Each transaction that takes or settles
deliveries also reads when the next one is due.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from crm_clients.base import CrmClient, Unknown
from crm_clients.settings import DestinationSettings
from relay import tracing
from relay.delivery.attempt import Attempt
from relay.delivery.batching import pick_order
from relay.delivery.choose_action import PlannedDelivery
from relay.delivery.log import log_failure, log_push
from relay.delivery.next_due import NextDue
from relay.delivery.pauses import Pauses
from relay.delivery.renumber import find_newer_records, renumber_calls
from relay.delivery.retry_policy import RetryPolicy
from relay.delivery.settle import Settler
from relay.delivery.taking import Taken, plan_deliveries, take_batch, take_for_probe
from relay.delivery.trace import trace_push
from relay.delivery.under_way import PushesUnderWay
from relay.instants import SECOND, Instant
from relay.ledger import LeaseLost, Ledger, deliveries, destinations, epochs
from relay.ledger.destinations import DestinationRow
from relay.ledger.lease_holder import Lease
from relay.ledger.leases import delivery_lease
from relay.standards.wake_up import WakeUp

_INTERRUPTED: Final = Unknown(code="interrupted")


class DeliveryWorker:
    """Delivers calls to one destination until it is cancelled.

    `poll_seconds`: how often it looks for deliveries that nothing announced, and for pauses that a person
    begins or ends. `clock_check_seconds`: how often it looks for deliveries that are due too late because
    the clock was set back. `finish_seconds`: how long a push under way may take when the relay stops.
    `jitter` returns a number from 0 to 1. `erasures_only`: do only what was asked for by `relay forget`.
    """

    def __init__(
        self,
        name: str,
        client: CrmClient[Any],
        settings: DestinationSettings,
        ledger: Ledger,
        policy: RetryPolicy,
        *,
        forward_internal: bool = False,
        jitter: Callable[[], float] = random.random,
        poll_seconds: float = 1.0,
        clock_check_seconds: float = 60.0,
        finish_seconds: float = 3.5,
        erasures_only: bool = False,
    ) -> None:
        self.name = name
        self._client = client
        self._settings = settings
        self._ledger = ledger
        self._policy = policy
        self._forward_internal = forward_internal
        self._poll_seconds = poll_seconds
        self._clock_check_seconds = clock_check_seconds
        self._finish_seconds = finish_seconds
        self._erasures_only = erasures_only
        # Longer than an attempt, so that the worker that pushes also settles.
        self._lease = Lease(ledger, delivery_lease(name), seconds=settings.timeout_seconds + 15)
        self._pauses = Pauses(policy)
        self._settler = Settler(
            ledger,
            self._lease,
            name,
            policy,
            self._pauses,
            jitter,
            settings.rendering,
            client.forget_fields,
        )
        self._wake = WakeUp()
        self._pushes = PushesUnderWay(f"push:{name}", self._wake.set)
        self._picks = pick_order()
        self._next_due = NextDue()
        # Both are read by `_poll`, before the first push.
        self._destination: DestinationRow
        self._epoch: int
        self._must_poll = True  # set at the start of a term, and by a push that changes the pause
        self._polled_at = self._clock_checked_at = -math.inf

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._next_due.read_now()
        self._wake.set()

    def set_client(self, client: CrmClient[Any], settings: DestinationSettings) -> None:
        """Use this client, whose credentials are new, for the next pushes. The caller closes the old one."""
        self._client, self._settings = client, settings
        self._settler.rendering = settings.rendering
        self.wake()

    async def run(self) -> None:
        """Serve the destination whenever this process holds its lease, until cancelled."""
        try:
            await self._lease.serve(self._serve_term, partial(log_failure, self.name))
        finally:
            await self._pushes.wait(self._finish_seconds)
            await self._pushes.cancel()
            await self._lease.release()

    # --- one term of the lease ------------------------------------------------------------------

    async def _serve_term(self) -> None:
        """Forget what an earlier term knew, then push round after round, until an error ends the term."""
        try:
            self._pauses.reset()
            self._settler.reset()
            self._next_due.read_now()
            self._must_poll = True
            self._clock_checked_at = -math.inf
            await self._end_waits()
            await self._run_rounds()
        except Exception as error:
            interrupted = await self._pushes.cancel()
            if isinstance(error, LeaseLost):
                for due in interrupted:
                    await self._settler.requeue_after_lost_lease(due, [_INTERRUPTED] * len(due))
            raise

    async def _end_waits(self) -> None:
        """Let calls that wait for being complete wait no more: the setting `update` may have changed."""
        now = self._ledger.now()
        await self._ledger.write(lambda c: deliveries.end_waits(c, self.name, now=now))

    # --- one round ------------------------------------------------------------------------------

    async def _run_rounds(self) -> None:
        while True:
            await self._lease.renew()
            self._wake.clear()
            self._pushes.collect()
            await self._check_clock()
            await self._poll()
            await self._wake.wait(await self._start_pushes())

    async def _check_clock(self) -> None:
        """Make deliveries due that began to wait before the clock was set back: no delay is that long."""
        at = time.monotonic()
        if at - self._clock_checked_at >= self._clock_check_seconds:
            now, longest = self._ledger.now(), self._policy.longest_delay
            await self._ledger.write(
                lambda c: deliveries.make_due_now(c, self.name, now=now, min_delay=longest)
            )
            self._clock_checked_at = at

    async def _poll(self) -> None:
        """Look for what nothing announces: a person paused the destination, resumed it or asked for a probe;
        another process enqueued calls, and its notification was lost.
        """
        self._must_poll |= time.monotonic() - self._polled_at >= self._poll_seconds
        while self._must_poll:  # again if a push that ends during the read changes the pause
            self._must_poll = False
            self._polled_at = time.monotonic()
            self._next_due.read_now()
            self._destination, self._epoch = await self._ledger.read(
                lambda c: (destinations.get(c, self.name), epochs.current(c))
            )

    async def _start_pushes(self) -> float:
        """Start the pushes that are possible now. Return the seconds until the next round."""
        now = self._ledger.now()
        if self._destination.paused_reason is not None:
            if self._pauses.may_probe(self._destination, now):
                await self._probe(now)
            return self._poll_seconds
        while self._next_due.at <= now and len(self._pushes) < self._settings.concurrency:
            taken = await self._take(now)
            if not taken.due:
                break
            if batch := await self._plan(taken):
                self._start_push(batch)
        return self._seconds_until_next_round(now)

    def _seconds_until_next_round(self, now: Instant) -> float:
        """Until the next poll, or until the next delivery is due. One that is due waits for a push to end."""
        poll = self._polled_at + self._poll_seconds - time.monotonic()
        return poll if self._next_due.at <= now else min(poll, (self._next_due.at - now) / SECOND)

    async def _probe(self, now: Instant) -> None:
        """Push one delivery alone: the first that needs a request."""
        while not self._pushes:
            taken = await self._ledger.read(
                lambda c: take_for_probe(
                    c, self.name, self._settings, now=now, erasures_only=self._erasures_only
                )
            )
            if not taken.due:
                return
            if batch := await self._plan(taken):
                self._start_push(batch[:1], probed=self._destination)

    async def _take(self, now: Instant) -> Taken:
        """Take a batch of due deliveries that are not being pushed, and note when the next one is due."""
        pick, busy = next(self._picks), self._pushes.find_busy()
        self._next_due.begin_read()
        taken, next_due_at = await self._ledger.read(
            lambda c: take_batch(
                c,
                self.name,
                self._settings,
                pick,
                busy=busy,
                now=now,
                erasures_only=self._erasures_only,
            )
        )
        self._next_due.note(next_due_at)
        return taken

    async def _plan(self, taken: Taken) -> list[PlannedDelivery]:
        """Choose an action for each delivery. Settle those that need no request, and return the others."""
        planned = plan_deliveries(
            taken,
            self._settings,
            epoch=self._epoch,
            forward_internal=self._forward_internal,
            now=self._ledger.now(),
        )
        to_push = [each for each in planned if not each.action.sends_nothing]
        if without_request := [each for each in planned if each.action.sends_nothing]:
            busy = self._pushes.find_busy().union(each.due.call.id for each in to_push)
            self._next_due.note(await self._settler.settle_without_request(without_request, busy=busy))
        return to_push

    # --- one push -------------------------------------------------------------------------------

    def _start_push(self, batch: Sequence[PlannedDelivery], *, probed: DestinationRow | None = None) -> None:
        """Push in a task of its own. `probed`: the paused destination, if this is its probe."""
        self._pushes.start(self._push(batch, probed), [planned.due for planned in batch])

    async def _push(self, batch: Sequence[PlannedDelivery], probed: DestinationRow | None) -> None:
        started = time.perf_counter()
        outcomes = await Attempt(self._client, batch).run(self._settings.timeout_seconds)
        due, seconds = [planned.due for planned in batch], time.perf_counter() - started
        log_push(self.name, due, outcomes, seconds)
        if (tracer := tracing.current()) is not None:
            trace_push(tracer, self.name, due, outcomes, seconds=seconds, ended_at=self._ledger.now())
        # Before these deliveries are settled: if the relay stops between the two, they are pushed again.
        if newer := find_newer_records(batch, outcomes):
            await renumber_calls(self._ledger, newer)
        try:
            settled = await self._settler.settle_push(
                batch,
                outcomes,
                self._destination,
                seconds=seconds,
                probed=probed,
                busy=self._pushes.find_busy(),
            )
        except LeaseLost:
            await self._settler.requeue_after_lost_lease(due, outcomes)
            raise
        self._next_due.note(settled.next_due_at)
        if settled.changes_pause:
            self._must_poll = True
