"""A delivery worker on a fake CRM and a ledger whose clock a test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from crm_clients.base import CrmClient, Delivered, Finding, Outcome, Push, Retraction, Stored
from crm_clients.settings import DestinationSettings
from relay.call import CallEvent, Kind
from relay.delivery import DeliveryWorker, RetryPolicy
from relay.fold import FoldOptions, FoldWorker
from relay.instants import Instant, duration
from relay.ledger import Ledger, deliveries, destinations, journal, replays
from relay.ledger.deliveries import DeliveryRow, DeliveryUpdate
from relay.ledger.destinations import DestinationRow, Pause
from relay.ledger.journal import NewEvent
from tests.support.clients import make_context
from tests.support.clock import Clock
from tests.support.deliveries import delivered_update
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE

NO_POLL = 3_600
"""Seconds between two polls: none within a test, whose waits end before it."""
POLICY = RetryPolicy(first_retry_seconds=30, longest_retry_seconds=3_600, give_up_after_hours=72)
UpsertAnswer = Callable[[Sequence[Push]], list[Outcome]]


def delivered(pushes: Sequence[Push]) -> list[Outcome]:
    return [Delivered(remote_id=f"remote-{push.call.id}") for push in pushes]


def always(outcome: Outcome) -> UpsertAnswer:
    return lambda pushes: [outcome] * len(pushes)


def first_then(first: UpsertAnswer, then: UpsertAnswer = delivered) -> UpsertAnswer:
    answers = iter([first])

    def answer(pushes: Sequence[Push]) -> list[Outcome]:
        return next(answers, then)(pushes)

    return answer


class FakeCrm(CrmClient[DestinationSettings]):
    """Answers with `answer` once `may_answer` is set, and keeps the requests."""

    def __init__(self) -> None:
        super().__init__("crm", DestinationSettings(client="fake"), make_context())
        self.pushed: list[list[Push]] = []
        self.retracted: list[list[Retraction]] = []
        self.forgotten: list[list[Retraction]] = []
        self.answer: UpsertAnswer = delivered
        self.lost: set[str] = set()
        self.versions_stored: dict[str, int] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def check(self) -> list[Finding]:
        return []

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        self.pushed.append(list(pushes))
        await self.may_answer.wait()
        return self.answer(pushes)

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        self.retracted.append(list(retractions))
        return [Delivered() for _ in retractions]

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        ids = {push.call.id for push in pushes} - self.lost
        return {id_: [Stored(None, self.versions_stored.get(id_))] for id_ in ids}

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        self.forgotten.append(list(retractions))
        return [Delivered() for _ in retractions]

    @property
    def versions(self) -> list[list[tuple[str, int]]]:
        """The id and version of each call, by push."""
        return [[(push.call.id, push.call.version) for push in batch] for batch in self.pushed]


class ObservedWorker(DeliveryWorker):
    """Counts its rounds, so that a test can wait for one instead of sleeping."""

    def __init__(self, *args: Any, **intervals: Any) -> None:
        super().__init__(*args, **intervals)
        self.rounds = 0
        self.round_over = asyncio.Event()

    async def _start_pushes(self) -> float:
        seconds = await super()._start_pushes()
        self.rounds += 1
        over, self.round_over = self.round_over, asyncio.Event()
        over.set()
        return seconds

    async def finish_round(self) -> None:
        """Wait for the end of a round that began after this call, with a poll."""
        last, self._must_poll = self.rounds + 2, True
        async with asyncio.timeout(PATIENCE):
            while self.rounds < last:
                self.wake()
                await self.round_over.wait()


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


class Delivering:
    """A ledger with the destination `crm`, a fold to enqueue calls, and a fake CRM."""

    def __init__(self, ledger: Ledger, clock: Clock, fold: FoldWorker) -> None:
        self.ledger = ledger
        self.clock = clock
        self.crm = FakeCrm()
        self.fold = fold

    async def add_event(self, kind: Kind, name: str = "1", **facts: Any) -> None:
        """Fold an event of the call `cloudtalk-{name}`, a millisecond after the one before."""
        await self.append_event(kind, name, **facts)
        await self.fold_all()

    async def append_event(
        self, kind: Kind, name: str = "1", *, single_id: bool = True, **facts: Any
    ) -> None:
        """Append an event as `add_event` does, and do not fold it."""
        self.clock.advance(0.001)
        event = CallEvent(kind, "mission", name, (f"other:{name}",), None, facts, {}, single_id=single_id)
        row = NewEvent(self.ledger.now(), "", "/", "", b"", event)
        await self.ledger.write(lambda c: journal.append(c, [row]))

    async def fold_all(self) -> None:
        while await self.fold.fold_batch():
            pass

    async def fold_again(self) -> None:
        """Hold the lease of the fold again, which other work preempted."""
        await self.fold.lease.preempt()

    async def delivery(self, call: str = "cloudtalk-1") -> DeliveryRow:
        (row,) = await self.ledger.read(lambda c: deliveries.list_for_call(c, call))
        return row

    async def wait_for(self, state: str, call: str = "cloudtalk-1", **fields: Any) -> DeliveryRow:
        """Wait until the delivery of this call has this state and these fields."""
        async with asyncio.timeout(PATIENCE):
            while True:
                row = await self.delivery(call)
                if row.state == state and all(getattr(row, name) == fields[name] for name in fields):
                    return row
                await asyncio.sleep(0.01)

    async def wait_for_push(self, count: int = 1) -> None:
        await wait_until(lambda: len(self.crm.pushed) >= count)

    async def destination(self) -> DestinationRow:
        return await self.ledger.read(lambda c: destinations.get(c, "crm"))

    async def wait_for_pause(self) -> DestinationRow:
        """Wait until the destination pauses, from now on."""
        async with asyncio.timeout(PATIENCE):
            while True:
                row = await self.destination()
                if row.paused_until is not None and row.paused_until > self.ledger.now():
                    return row
                await asyncio.sleep(0.01)

    async def pause(self, reason: str, code: str | None = None, *, until: Instant | None = None) -> None:
        """Pause the destination; without `until` a probe is due."""
        end = until or self.ledger.now()
        await self.ledger.write(
            lambda c: destinations.pause_until(
                c, "crm", Pause(reason, 5, code, None), until=end, now=Instant(1)
            )
        )

    async def probe(self) -> None:
        await self.ledger.write(lambda c: destinations.probe_now(c, "crm", now=self.ledger.now()))

    async def settle(self, *updates: DeliveryUpdate) -> None:
        """Write these updates as an earlier worker would have, shortly after 1970."""
        await self.ledger.write(lambda c: deliveries.settle(c, "crm", updates, now=Instant(1)))

    async def replay(self, *names: str) -> None:
        """Replay the first version of these calls."""
        versions = [(f"cloudtalk-{name}", 1) for name in names]
        await self.ledger.write(lambda c: replays.enqueue(c, "crm", versions, now=self.ledger.now()))

    async def replay_delivered(self, *names: str) -> None:
        """Replay calls whose newest version the CRM has: they are only verified."""
        for name in names:
            await self.add_event(Kind.STARTED, name)
        await self.settle(*(delivered_update(f"cloudtalk-{name}") for name in names))
        await self.replay(*names)

    @asynccontextmanager
    async def worker(
        self,
        policy: RetryPolicy = POLICY,
        *,
        poll_seconds: float = 0.01,
        erasures_only: bool = False,
        **settings: Any,
    ) -> AsyncIterator[ObservedWorker]:
        """A worker that runs; `settings` of the destination."""
        worker = ObservedWorker(
            "crm",
            self.crm,
            DestinationSettings(client="fake", **settings),
            self.ledger,
            policy,
            jitter=lambda: 0,
            poll_seconds=poll_seconds,
            erasures_only=erasures_only,
        )
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=PATIENCE)
            assert running.done()


@asynccontextmanager
async def delivering(
    ledger_url: str, clock: Clock | None = None, *, grace_seconds: float = 0
) -> AsyncIterator[Delivering]:
    clock = clock or Clock()
    async with open_ledger(ledger_url, clock=clock) as ledger:
        await ledger.write(lambda c: destinations.register(c, {"crm": "fake"}))
        options = FoldOptions(grace=duration(grace_seconds))
        fold = FoldWorker(ledger, options=options, has_backlog=lambda: False, on_enqueue=lambda: None)
        await fold.lease.acquire()
        yield Delivering(ledger, clock, fold)
