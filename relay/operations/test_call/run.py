"""The steps of a test call in their order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from relay.call import Status
from relay.instants import duration
from relay.ledger import Ledger, LedgerError, leases
from relay.ledger.connection import Connection
from relay.operations.ledger_access import has_ledger, open_ledger
from relay.operations.test_call import texts
from relay.operations.test_call.follow import Follower
from relay.operations.test_call.post import post
from relay.operations.test_call.removal import Remover
from relay.operations.test_call.requests import ENDED, STARTED, EventRequests
from relay.operations.test_call.steps import Kind, OnStep, State, Step
from relay.operations.test_call.texts import Problem
from relay.settings import Settings

_SECONDS: Final = 30.0
_LEASE: Final = "test_call"
_LEASE_LENGTH: Final = duration(600)
_STARTED: Final = frozenset({Status.IN_PROGRESS, Status.ANSWERED, Status.COMPLETED})
_ENDED: Final = frozenset({Status.COMPLETED})
_LATE_SECONDS: Final = 5.0
"""How long an interrupted test waits for an event that is posted and not folded yet."""


class CallTest:
    """One test call. `steps` has what happened so far, in order; `on_step` is called with each change.

    `seconds`: how long to wait for the fold, and then for the deliveries.
    """

    def __init__(
        self, settings: Settings, *, on_step: OnStep = lambda _: None, seconds: float = _SECONDS
    ) -> None:
        self._settings = settings
        self._on_step = on_step
        self._seconds = seconds
        self._steps: dict[tuple[Kind, str | None], Step] = {}
        self._expected: frozenset[Status] = frozenset()
        """The statuses that the call gets once all events that were posted are folded."""

    @property
    def steps(self) -> list[Step]:
        """Every step so far, as it is now."""
        return list(self._steps.values())

    @property
    def is_good(self) -> bool:
        """Whether no step failed."""
        return all(step.state is not State.FAILED for step in self.steps)

    async def run(self) -> None:
        """Send the call, follow it, and remove it; it is removed also if this is cancelled."""
        server = self._settings.server
        if not server.port and "public_url" not in server.model_fields_set:
            return self._fail(Kind.POST, texts.NO_PORT)
        try:
            if not await asyncio.to_thread(has_ledger, self._settings):
                return self._fail(Kind.POST, texts.NO_LEDGER)
            async with open_ledger(self._settings) as ledger, only_one(ledger) as is_only_one:
                if not is_only_one:
                    return self._fail(Kind.POST, texts.BUSY_TEST)
                await self._run(ledger)
        except LedgerError as error:
            self._fail(Kind.FOLD, texts.LEDGER, reason=str(error))

    async def _run(self, ledger: Ledger) -> None:
        remover = Remover(self._settings, ledger, self._report)
        left, stay = await remover.remove_left()
        if stay:
            return self._fail(Kind.CLEAN, texts.LEFT, number=stay)
        if left:
            self._report(Step(Kind.CLEAN, State.GOOD, "test_removed", texts.CLEANED.fill(number=left)))
        events = EventRequests(self._settings)
        follower = Follower(self._settings, ledger, events.record_id, self._report, seconds=self._seconds)
        try:
            if await self._send(events, follower):
                await follower.watch_deliveries()
        finally:
            if self._expected:
                await follower.wait_for(self._expected, seconds=_LATE_SECONDS)
            await remover.remove(events.record_id)

    async def _send(self, events: EventRequests, follower: Follower) -> bool:
        """Post both events, and return whether both are folded."""
        return (
            await self._post(events, STARTED, _STARTED)
            # Before the end: a relay with another ledger gets one event only.
            and await self._wait_for_fold(events, follower)
            and await self._post(events, ENDED, _ENDED)
            and await self._wait_for_fold(events, follower)
        )

    async def _post(self, events: EventRequests, event: str, expected: frozenset[Status]) -> bool:
        request = events.request(event)
        text = texts.POSTING.fill(url=request.url)
        self._report(Step(Kind.POST, State.RUNNING, "test_posting", text))
        before, self._expected = self._expected, expected
        failure = await post(request, events.record_id)
        if failure is None:
            text = texts.POSTED.fill(url=self._settings.server.public_url)
            self._report(Step(Kind.POST, State.GOOD, "test_accepted", text))
            return True
        if not failure.may_be_stored:
            self._expected = before
        self._report(Step(Kind.POST, State.FAILED, failure.code, failure.text, failure.hint))
        return False

    async def _wait_for_fold(self, events: EventRequests, follower: Follower) -> bool:
        self._report(Step(Kind.FOLD, State.RUNNING, "test_folding", texts.FOLDING))
        if await follower.wait_for(self._expected):
            if self._expected == _ENDED:
                self._report(Step(Kind.FOLD, State.GOOD, "test_folded", texts.FOLDED))
            return True
        self._expected = frozenset()
        unfolded = await follower.count_unfolded()
        problem = texts.NOT_FOLDED if unfolded else texts.OTHER_LEDGER
        url = self._settings.server.public_url
        fields = {"url": url, "id": events.record_id, "seconds": f"{self._seconds:g}", "unfolded": unfolded}
        self._fail(Kind.FOLD, problem, **fields)
        return False

    def _fail(self, kind: Kind, problem: Problem, **fields: object) -> None:
        hint = problem.hint.fill(**fields)
        self._report(Step(kind, State.FAILED, problem.code, problem.text.fill(**fields), hint))

    def _report(self, step: Step) -> None:
        step = step.without_secrets()
        self._steps[step.kind, step.destination] = step
        self._on_step(step)


@asynccontextmanager
async def only_one(ledger: Ledger) -> AsyncIterator[bool]:
    """Hold the lease of test calls, so that no other one removes this one. Yield whether it is so."""

    def acquire(connection: Connection) -> int | None:
        leases.free_orphans(connection)
        return leases.acquire(connection, _LEASE, ledger.owner, now=ledger.now(), length=_LEASE_LENGTH)

    token = await ledger.write(acquire)
    try:
        yield token is not None
    finally:
        if token is not None:
            await ledger.write(lambda connection: leases.release(connection, _LEASE, token))
