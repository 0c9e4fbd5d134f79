"""Group commit: requests that wait at the same time share one commit.

There is no timer: the next group is what arrived during the last commit. So a single request waits for no
other, and a thousand concurrent ones cost one sync of the disk.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from relay.instants import Instant
from relay.ledger import journal
from relay.ledger.errors import MACHINE_FAULTS, EventNotStorable, LedgerUnavailable, LedgerUnusable
from relay.ledger.journal import NewEvent
from relay.ledger.ledger import Ledger
from relay.measurements import COMMIT_SECONDS

HOLD_SECONDS: Final = 5.0
"""How long requests are held while the ledger is unavailable, before they fail. If the database hangs in a
commit, they fail when that commit is cut off."""

_RETRY_SECONDS: Final = 0.1
_MAX_GROUP_REQUESTS: Final = 1_000
_MAX_GROUP_BYTES: Final = 8 * 1024 * 1024


class _Request(msgspec.Struct, eq=False):
    """The events of one HTTP request. `hold_until` is a time of the event loop; `seqs` is the result."""

    events: list[NewEvent]
    size: int
    hold_until: float
    seqs: asyncio.Future[list[int]]


class GroupCommit:
    """Appends events to the journal. `run` must run while requests call `append`."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        on_append: Callable[[], None],
        hold_seconds: float = HOLD_SECONDS,
        max_group_requests: int = _MAX_GROUP_REQUESTS,
    ) -> None:
        self._ledger = ledger
        self._on_append = on_append
        self._hold_seconds = hold_seconds
        self._max_group_requests = max_group_requests
        self._waiting: list[_Request] = []
        self._wake = asyncio.Event()
        self._last_received_at = Instant(0)

    @property
    def has_backlog(self) -> bool:
        """Whether requests wait for a commit: other writers of this process should wait."""
        return bool(self._waiting)

    def next_received_at(self) -> Instant:
        """Return the time of arrival for an event: now, but later than the last one of this process."""
        self._last_received_at = Instant(max(self._ledger.now(), self._last_received_at + 1))
        return self._last_received_at

    async def append(self, events: list[NewEvent]) -> list[int]:
        """Commit all of these events or none, and return their sequence numbers.

        Raises `LedgerUnavailable` after `hold_seconds`, `LedgerUnusable` at once, or `EventNotStorable`.
        """
        loop = asyncio.get_running_loop()
        size = sum(len(event.raw) for event in events)
        request = _Request(events, size, loop.time() + self._hold_seconds, loop.create_future())
        self._waiting.append(request)
        self._wake.set()
        return await request.seqs

    async def run(self) -> None:
        """Commit group after group, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group = self._next_group()
                await self._commit(group)
                self._on_append()

    def _next_group(self) -> list[_Request]:
        """Take the first requests, within the limits of a group, but at least one."""
        number, size = 0, 0
        for request in self._waiting[: self._max_group_requests]:
            size += request.size
            if number and size > _MAX_GROUP_BYTES:
                break
            number += 1
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _commit(self, group: list[_Request]) -> LedgerUnavailable | None:
        """Commit these requests or fail them; return the error if the ledger stayed unavailable."""
        unavailable = None
        while group:
            try:
                seqs = await self._append([event for request in group for event in request.events])
            except LedgerUnavailable as error:
                unavailable = error
                if group := _fail_overdue(group, error):
                    await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - one faulty event must not fail the others of its group
                return await self._commit_one_by_one(group, error)
            else:
                _succeed(group, seqs)
                return None
        return unavailable

    async def _commit_one_by_one(self, group: list[_Request], error: Exception) -> LedgerUnavailable | None:
        if len(group) == 1:
            reason = error.orig if isinstance(error, DBAPIError) else error
            _fail(group[0], EventNotStorable(f"the ledger cannot store this event: {reason}"))
            return None
        unavailable = None
        rest = group
        while rest:
            unavailable = await self._commit(rest[:1])
            rest = rest[1:] if unavailable is None else _fail_overdue(rest[1:], unavailable)
        return unavailable

    async def _append(self, events: list[NewEvent]) -> list[int]:
        started = time.perf_counter()
        try:
            seqs = await self._ledger.write(lambda connection: journal.append(connection, events))
        except MACHINE_FAULTS as error:
            raise LedgerUnavailable(f"the relay cannot hand events to the ledger: {error!r}") from error
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        return seqs


def _fail_overdue(group: list[_Request], error: LedgerUnavailable) -> list[_Request]:
    """Fail the requests that were held long enough, and return the others."""
    now = math.inf if isinstance(error, LedgerUnusable) else asyncio.get_running_loop().time()
    for request in group:
        if now >= request.hold_until:
            _fail(request, error)
    return [request for request in group if now < request.hold_until]


def _succeed(group: list[_Request], seqs: list[int]) -> None:
    rest = iter(seqs)
    for request in group:
        own_seqs = [next(rest) for _ in request.events]
        if not request.seqs.done():
            request.seqs.set_result(own_seqs)


def _fail(request: _Request, error: Exception) -> None:
    if not request.seqs.done():
        request.seqs.set_exception(error)
