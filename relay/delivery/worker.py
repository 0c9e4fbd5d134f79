"""The courier of one destination: takes marks whose turn it is, brings the newest version, settles.

It alone serves its destination, over all processes, so that pace, order and waiting need no shared
counters. No transaction is open during a request.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection

from crm_clients.base import CrmClient, Delivered, Outcome, Rejected, Unknown
from crm_clients.settings import DestinationSettings
from relay.delivery.attempt import Attempt
from relay.delivery.batching import choose_batch, pick_order
from relay.delivery.bisect import RUN_OF_REJECTIONS
from relay.delivery.log import log_dead, log_pause, log_push
from relay.delivery.purpose import Action, choose_action
from relay.delivery.transitions import PROBE_SECONDS, RetryPolicy, settle_untried
from relay.delivery.verdict import Judge, Marks, Transition, wait_for_run
from relay.ledger import LeaseLost, Ledger, LedgerError, LedgerUnavailable, deliveries, destinations
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery, Pick
from relay.ledger.destinations import DestinationRow, Pause
from relay.ledger.lease import Lease, wait_for
from relay.ledger.states import DeliveryState
from relay.logs import get_logger

log = get_logger("relay.delivery")

_POLL_SECONDS: Final = 1.0
_CUT: Final = Unknown(code="cut")

_FINISH_SECONDS: Final = 3.5
"""How long a push under way may take to end when the relay stops."""

_CLOCK_SECONDS: Final = 60.0
"""How often to look for marks that the clock, set back, has put out of reach."""

_UNTOLD: Final = frozenset({Action.SKIP, Action.FILTER})
"""Of these the CRM is told nothing."""

_SECOND: Final = 1_000_000


class DeliveryWorker:
    """Brings calls to one destination for as long as it runs."""

    def __init__(
        self,
        name: str,
        client: CrmClient[Any],
        settings: DestinationSettings,
        ledger: Ledger,
        schedule: RetryPolicy,
        *,
        forward_internal: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._client = client
        self._settings = settings
        self._ledger = ledger
        self._schedule = schedule
        self._forward_internal = forward_internal
        self._jitter = jitter
        # Longer than an attempt, so that a push is settled by the courier that made it.
        self._lease = Lease(ledger, f"courier:{name}", seconds=settings.timeout_seconds + 15)
        self._wake = asyncio.Event()
        self._busy: set[str] = set()
        self._pushes: dict[asyncio.Task[None], list[DueDelivery]] = {}
        self._judge = Judge(schedule)
        self._turns = pick_order()
        self._stand: DestinationRow
        self._looked_at = self._clock_at = 0.0

    def wake(self) -> None:
        """There may be marks that are due."""
        self._wake.set()

    def use(self, client: CrmClient[Any], settings: DestinationSettings) -> None:
        """Go on with this client, whose keys are new. The one before is its maker's to close."""
        self._client, self._settings = client, settings
        self.wake()

    async def run(self) -> None:
        """Serve the destination whenever the lease is ours, until cancelled."""
        try:
            await self._lease.serve(self._work, self._failed)
        finally:
            if self._pushes:
                await asyncio.wait(self._pushes, timeout=_FINISH_SECONDS)
            await self._drop_pushes()
            await self._lease.release()

    async def _work(self) -> None:
        try:
            self._judge.forget()
            self._looked_at = self._clock_at = 0.0
            await self._serve()
        except Exception as error:
            under_way = list(self._pushes.values())
            await self._drop_pushes()
            if isinstance(error, LeaseLost):
                for due in under_way:
                    await self._owe_again(due, [_CUT] * len(due))
            raise

    def _failed(self, error: Exception) -> None:
        if isinstance(error, LedgerUnavailable):
            log.warning("delivery.failed", destination=self.name, error=str(error))
        else:
            log.error("delivery.failed", destination=self.name, exc_info=error)

    async def _drop_pushes(self) -> None:
        """What is under way is settled by nobody: it stays owed, and is brought once more."""
        pushes = list(self._pushes)
        for push in pushes:
            push.cancel()
        await asyncio.gather(*pushes, return_exceptions=True)
        self._pushes.clear()
        self._busy.clear()

    # --- taking ---------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self._lease.renew()
            self._wake.clear()
            self._raise_failures()
            await self._look()
            await wait_for(self._wake, await self._dispatch())

    async def _look(self) -> None:
        """How the destination stands: a person may have paused it, or asked for a probe."""
        at = time.monotonic()
        if at - self._looked_at >= _POLL_SECONDS or not self._looked_at:
            self._stand = await self._ledger.read(lambda connection: destinations.get(connection, self.name))
            self._looked_at = at
        if at - self._clock_at >= _CLOCK_SECONDS or not self._clock_at:
            await self._bring_forward(self._schedule.longest_delay)
            self._clock_at = at

    async def _bring_forward(self, beyond: int) -> None:
        now = self._ledger.now()
        await self._ledger.write(
            lambda connection: deliveries.make_due_now(connection, self.name, now=now, beyond=beyond)
        )

    async def _dispatch(self) -> float:
        """Start what can be started; the seconds until it is worth looking again."""
        now = self._ledger.now()
        if self._stand.paused_reason is not None:
            await self._probe(now)
            return _POLL_SECONDS
        while len(self._pushes) < self._settings.concurrency:
            due = await self._due(now, next(self._turns), self._settings.batch)
            if not due:
                return await self._seconds_until_due(now)
            await self._start(choose_batch(due, self._settings.batch))
        return _POLL_SECONDS

    async def _probe(self, now: int) -> None:
        """One call, alone, once the wait is over. A wait longer than the longest began before the
        clock was set back: it is over.
        """
        until = self._stand.paused_until
        if until is None or self._pushes or now < until <= now + self._longest_wait:
            return
        while not self._pushes and (due := await self._due(now, Pick.PROBE, self._settings.batch)):
            untold = [mark for mark in due if self._purpose(mark) in _UNTOLD]
            told = [mark for mark in due if self._purpose(mark) not in _UNTOLD]
            await self._start([*untold, *told[:1]], probes=self._stand)

    @property
    def _longest_wait(self) -> int:
        return max(self._schedule.longest_delay, int(PROBE_SECONDS * _SECOND))

    async def _due(self, now: int, turn: Pick, most: int) -> list[DueDelivery]:
        busy = frozenset(self._busy)
        return await self._ledger.read(
            lambda connection: deliveries.take_due(connection, self.name, turn, busy=busy, now=now, most=most)
        )

    async def _seconds_until_due(self, now: int) -> float:
        next_due = await self._ledger.read(lambda connection: deliveries.next_due(connection, self.name))
        if next_due is None or next_due <= now:
            return _POLL_SECONDS
        return min((next_due - now) / _SECOND, _POLL_SECONDS)

    async def _start(self, due: list[DueDelivery], *, probes: DestinationRow | None = None) -> None:
        marks = {mark.call.id: (mark, self._purpose(mark)) for mark in due}
        if untold := [(m, p) for m, p in marks.values() if p in _UNTOLD]:
            await self._settle_untried(untold)
        marks = {call: (m, p) for call, (m, p) in marks.items() if p not in _UNTOLD}
        if not marks:
            return
        self._busy |= marks.keys()
        push = asyncio.create_task(self._push(marks, probes), name=f"push:{self.name}")
        self._pushes[push] = [mark for mark, _ in marks.values()]

        def finish(_: asyncio.Task[None]) -> None:
            self._busy -= marks.keys()
            self._wake.set()

        push.add_done_callback(finish)

    def _purpose(self, mark: DueDelivery) -> Action:
        return choose_action(mark, self._settings.when, forward_internal=self._forward_internal)

    async def _settle_untried(self, marks: Sequence[tuple[DueDelivery, Action]]) -> None:
        now = self._ledger.now()
        verdict = Transition([settle_untried(mark, purpose, now=now) for mark, purpose in marks])
        await self._ledger.write(lambda connection: self._write(connection, verdict, now))

    def _raise_failures(self) -> None:
        """Forget the pushes that are over; a lost lease or ledger in one is the courier's own."""
        over = [push for push in self._pushes if push.done()]
        for push in over:
            del self._pushes[push]
        for push in over:
            push.result()

    # --- bringing -------------------------------------------------------------------------------

    async def _push(self, marks: Marks, probes: DestinationRow | None) -> None:
        started = time.perf_counter()
        outcomes = await Attempt(self._client, marks).make(self._settings.timeout_seconds)
        due = [mark for mark, _ in marks.values()]
        log_push(self.name, due, outcomes, time.perf_counter() - started)
        try:
            await self._settle(marks, outcomes, probes)
        except LeaseLost:
            await self._owe_again(due, outcomes)
            raise

    async def _owe_again(self, due: Sequence[DueDelivery], outcomes: Sequence[Outcome | None]) -> None:
        pushed = [
            (mark.call.id, mark.delivered_version)
            for mark, outcome in zip(due, outcomes, strict=True)
            if isinstance(outcome, Delivered | Unknown)
        ]
        now = self._ledger.now()
        with suppress(LedgerError):
            await self._ledger.write(
                lambda c: deliveries.requeue_after_lost_lease(c, self.name, pushed, now=now)
            )

    async def _settle(
        self, marks: Marks, outcomes: list[Outcome | None], probes: DestinationRow | None
    ) -> None:
        now = self._ledger.now()
        verdict = self._judge.judge(
            marks,
            outcomes,
            stand=probes or self._stand,
            probes=probes is not None,
            now=now,
            jitter=self._jitter(),
        )
        wait = await self._ledger.write(lambda connection: self._write(connection, verdict, now))
        if wait is not None or verdict.ended:
            self._looked_at = 0.0
        dead = {} if wait is not None and wait is not verdict.wait else _dead_of(verdict)
        log_dead(self.name, [(marks[call][0], letter) for call, letter in dead.items()])
        log_pause(self.name, wait, [mark for mark, _ in marks.values()], ended=verdict.ended)

    def _write(self, connection: Connection, verdict: Transition, now: int) -> Pause | None:
        """Write all of it; the wait that came of it."""
        self._lease.check(connection)
        deliveries.settle(connection, self.name, verdict.settlements, now=now)
        wait = self._wait_for_run(connection, verdict.refused, now) or verdict.wait
        if wait is not None:
            destinations.pause_until(connection, self.name, wait, until=now + int(wait.seconds * _SECOND))
        elif verdict.ended:
            destinations.end_pause(connection, self.name)
        if wait is None and verdict.recovered:
            deliveries.make_due_now(connection, self.name, now=now, tried=verdict.recovered)
        return wait

    def _wait_for_run(self, connection: Connection, refused: Rejected | None, now: int) -> Pause | None:
        if refused is None or refused.code is None:
            return None
        run = deliveries.requeue_rejected_run(
            connection, self.name, refused.code, least=RUN_OF_REJECTIONS, now=now
        )
        return wait_for_run(refused, run) if run else None


def _dead_of(verdict: Transition) -> dict[str, DeliveryUpdate]:
    return {letter.call: letter for letter in verdict.settlements if letter.state is DeliveryState.DEAD}
