"""The courier of one destination: takes marks that are due, brings the newest version, settles.

It alone serves its destination, over all processes, so that pace, order and waiting need no shared
counters. No transaction is open during a request.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from crm_clients.base import CrmClient, DestinationSettings, Outcome, Push, Retraction, Retry, Unknown
from relay.call import DELIVERED_FIELDS, is_wanted
from relay.courier.halving import bring
from relay.courier.settling import Schedule, Wait, settle, wait_after
from relay.lease import Lease, wait_for
from relay.ledger import Ledger, LedgerUnavailable, deliveries, destinations
from relay.ledger.deliveries import Due, Settlement
from relay.telemetry import get_logger, mask_text

log = get_logger("relay.courier")

_POLL_SECONDS: Final = 1.0
_FINISH_SECONDS: Final = 5.0
"""How long a push under way may take to end when the relay stops."""

_SECOND: Final = 1_000_000
_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)


class Courier:
    """Brings calls to one destination for as long as it runs."""

    def __init__(
        self,
        name: str,
        client: CrmClient,
        settings: DestinationSettings,
        ledger: Ledger,
        schedule: Schedule,
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
        self._pushes: set[asyncio.Task[None]] = set()
        self._paused_until: int | None = None
        self._delivered_at: int | None = None

    def wake(self) -> None:
        """There may be marks that are due."""
        self._wake.set()

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
            await self._take_over()
            await self._serve()
        except Exception:
            await self._drop_pushes()
            raise

    def _failed(self, error: Exception) -> None:
        if isinstance(error, LedgerUnavailable):
            log.warning("courier.failed", destination=self.name, error=str(error))
        else:
            log.error("courier.failed", destination=self.name, exc_info=error)

    async def _take_over(self) -> None:
        row = await self._ledger.read(lambda connection: destinations.one(connection, self.name))
        self._paused_until, self._delivered_at = row.paused_until, row.delivered_at

    async def _drop_pushes(self) -> None:
        """What is under way is settled by nobody: it stays owed, and is brought once more."""
        pushes = list(self._pushes)
        for push in pushes:
            push.cancel()
        await asyncio.gather(*pushes, return_exceptions=True)
        self._busy.clear()

    # --- taking ---------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self._lease.keep()
            self._wake.clear()
            self._raise_failures()
            seconds = await self._dispatch()
            await wait_for(self._wake, seconds)

    async def _dispatch(self) -> float:
        """Start what can be started; the seconds until it is worth looking again."""
        now = self._ledger.now()
        free = self._settings.concurrency - len(self._pushes)
        batch = self._settings.batch
        if self._paused_until is not None:
            # A probe: one call, alone.
            free, batch = (1, 1) if not self._pushes and now >= self._paused_until else (0, 0)
        while free > 0:
            due = await self._due(now, batch)
            if not due:
                return await self._seconds_until_due(now)
            self._start(due)
            free -= 1
        return _POLL_SECONDS

    async def _due(self, now: int, most: int) -> list[Due]:
        busy = frozenset(self._busy)
        return await self._ledger.read(
            lambda connection: deliveries.due(connection, self.name, busy=busy, now=now, most=most)
        )

    async def _seconds_until_due(self, now: int) -> float:
        next_due = await self._ledger.read(lambda connection: deliveries.next_due(connection, self.name))
        if next_due is None or next_due <= now:
            return _POLL_SECONDS
        return min((next_due - now) / _SECOND, _POLL_SECONDS)

    def _start(self, due: list[Due]) -> None:
        calls = {mark.call.id for mark in due}
        self._busy |= calls
        push = asyncio.create_task(self._push(due), name=f"push:{self.name}")
        self._pushes.add(push)

        def finish(_: asyncio.Task[None]) -> None:
            self._busy -= calls
            self._wake.set()

        push.add_done_callback(finish)

    def _raise_failures(self) -> None:
        """Forget the pushes that are over; a lost lease or ledger in one is the courier's own."""
        over = {push for push in self._pushes if push.done()}
        self._pushes -= over
        for push in over:
            push.result()

    # --- bringing -------------------------------------------------------------------------------

    async def _push(self, due: list[Due]) -> None:
        started = time.perf_counter()
        outcomes = await self._bring(due)
        self._report(due, outcomes, time.perf_counter() - started)
        await self._settle(due, outcomes)

    async def _bring(self, due: list[Due]) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        missing: Outcome = Unknown(code="timeout", message="no answer within timeout_seconds")
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await self._retract([mark for mark in due if self._is_gone(mark)], outcomes)
                await self._upsert([mark for mark in due if not self._is_gone(mark)], outcomes)
        except TimeoutError:
            pass
        except Exception as error:
            # A fault of the client's: nothing is known of the CRM, so it counts as a failed attempt.
            log.exception("courier.failed", destination=self.name)
            missing = Retry(code="client_fault", message=repr(error))
        return [outcomes.get(mark.call.id, missing) for mark in due]

    async def _upsert(self, due: list[Due], outcomes: dict[str, Outcome]) -> None:
        if due:
            await bring(self._client.upsert, [_push_of(mark) for mark in due], outcomes)

    async def _retract(self, due: list[Due], outcomes: dict[str, Outcome]) -> None:
        if due:
            answers = await self._client.retract([_retraction_of(mark) for mark in due])
            outcomes |= {mark.call.id: answer for mark, answer in zip(due, answers, strict=True)}

    async def _settle(self, due: list[Due], outcomes: list[Outcome]) -> None:
        now = self._ledger.now()
        settlements = [
            settlement
            for mark, outcome in zip(due, outcomes, strict=True)
            if (settlement := self._settlement(mark, outcome, now)) is not None
        ]
        wait = wait_after(outcomes, self._schedule)
        await self._ledger.write(lambda connection: self._write(connection, settlements, wait, now))
        self._note(settlements, wait, now)

    def _settlement(self, mark: Due, outcome: Outcome, now: int) -> Settlement | None:
        return settle(
            mark,
            outcome,
            self._schedule,
            now=now,
            delivered_at=self._delivered_at,
            jitter=self._jitter(),
            gone=self._is_gone(mark),
        )

    def _is_gone(self, mark: Due) -> bool:
        return not is_wanted(mark.call, forward_internal=self._forward_internal)

    def _write(
        self, connection: Connection, settlements: Sequence[Settlement], wait: Wait | None, now: int
    ) -> None:
        self._lease.prove(connection)
        deliveries.settle(connection, self.name, settlements, now=now)
        if wait is not None:
            until = now + int(wait.seconds * _SECOND)
            destinations.pause(connection, self.name, reason=wait.reason, until=until, message=wait.message)
        elif self._paused_until is not None:
            destinations.resume(connection, self.name)

    def _note(self, settlements: Sequence[Settlement], wait: Wait | None, now: int) -> None:
        if any(settlement.outcome == "delivered" for settlement in settlements):
            self._delivered_at = now
        if wait is not None:
            self._paused_until = now + int(wait.seconds * _SECOND)
            log.error(
                "destination.paused",
                destination=self.name,
                reason=wait.reason,
                code=wait.code,
                message=wait.message,
                seconds=wait.seconds,
            )
        elif self._paused_until is not None:
            self._paused_until = None
            log.info("destination.resumed", destination=self.name)

    # --- telling --------------------------------------------------------------------------------

    def _report(self, due: list[Due], outcomes: list[Outcome], seconds: float) -> None:
        """One line per outcome of a push, and one for each call that a person must look at."""
        for word in dict.fromkeys(outcome.word for outcome in outcomes):
            theirs = [(m, o) for m, o in zip(due, outcomes, strict=True) if o.word == word]
            mark, outcome = theirs[0]
            log.log(
                logging.INFO if word == "delivered" else logging.WARNING,
                "push",
                destination=self.name,
                calls=len(theirs),
                attempt=max(m.attempts for m, _ in theirs) + 1,
                outcome=word,
                duration_ms=round(seconds * 1000, 1),
                **({"call": mark.call.id} if len(theirs) == 1 else {}),
                **({"code": outcome.code, "message": _masked(mark, outcome)} if outcome.code else {}),
            )
        for mark, outcome in zip(due, outcomes, strict=True):
            if outcome.word == "rejected":
                log.error(
                    "delivery.dead",
                    destination=self.name,
                    call=mark.call.id,
                    code=outcome.code,
                    message=_masked(mark, outcome),
                )


def _push_of(mark: Due) -> Push:
    if not mark.delivered_version:
        return Push(mark.call, _ALL_FIELDS, mark.remote_id)
    changed = (field for field, version in mark.changed.items() if version > mark.delivered_version)
    return Push(mark.call, frozenset(changed), mark.remote_id)


def _retraction_of(mark: Due) -> Retraction:
    return Retraction(mark.call.id, mark.call.merged_into, mark.call.version, mark.remote_id)


def _masked(mark: Due, outcome: Outcome) -> str | None:
    """The CRM's words; it may quote what we sent."""
    personal = (mark.call.contact_name, mark.call.agent_name, mark.call.agent_email)
    return outcome.message and mask_text(outcome.message, [value for value in personal if value])
