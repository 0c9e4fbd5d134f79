"""Group commit: requests that wait at the same time share one commit.

No timer: the next group is whatever came in during the last commit, so a lone request waits for
nobody and a thousand at once cost one sync of the disk.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from relay.ledger import journal
from relay.ledger.errors import LedgerError, LedgerUnavailable
from relay.ledger.journal import NewEvent
from relay.ledger.ledger import Ledger

HOLD_SECONDS: Final = 5.0
"""How long requests are held while the ledger cannot take them, before they are told so. Those that a
hung database keeps in the midst of an attempt learn it once that is cut off."""

_RETRY_SECONDS: Final = 0.1
_LARGEST_GROUP: Final = 1_000
_LARGEST_GROUP_BYTES: Final = 8 * 1024 * 1024


class EventNotStorable(LedgerError):
    """The ledger takes other events and not this one."""


class _Waiting(msgspec.Struct, eq=False):
    rows: list[NewEvent]
    size: int
    until: float
    written: asyncio.Future[list[int]]


class GroupCommit:
    """Appends events to the journal; `run` it beside those who `append`."""

    def __init__(
        self, ledger: Ledger, *, on_append: Callable[[], None], hold_seconds: float = HOLD_SECONDS
    ) -> None:
        self._ledger = ledger
        self._on_append = on_append
        self._hold_seconds = hold_seconds
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._last_stamp = 0

    @property
    def has_backlog(self) -> bool:
        """Whether requests wait for a commit: others should give way."""
        return bool(self._waiting)

    def next_received_at(self) -> int:
        """The moment of arrival, ever growing within this process: no two events share one."""
        self._last_stamp = max(self._ledger.now(), self._last_stamp + 1)
        return self._last_stamp

    async def append(self, rows: list[NewEvent]) -> list[int]:
        """The events' sequence numbers, once they are on disk; all of them or none.

        Raises `LedgerUnavailable` after a hold, or `EventNotStorable`.
        """
        loop = asyncio.get_running_loop()
        size = sum(len(row.raw or b"") for row in rows)
        waiting = _Waiting(rows, size, loop.time() + self._hold_seconds, loop.create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.written

    async def run(self) -> None:
        """Commit group after group, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group = self._next_group()
                await self._commit(group)
                self._on_append()

    def _next_group(self) -> list[_Waiting]:
        """As many requests as one commit should bear, by their number and their bytes."""
        size = 0
        for number, waiting in enumerate(self._waiting):
            size += waiting.size
            if number and (number == _LARGEST_GROUP or size > _LARGEST_GROUP_BYTES):
                break
        else:
            number = len(self._waiting)
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _commit(self, group: list[_Waiting]) -> LedgerUnavailable | None:
        """Commit these, or tell them why not; what the ledger said where it was not to be had."""
        unavailable = None
        while group:
            try:
                numbers = await self._write([row for waiting in group for row in waiting.rows])
            except LedgerUnavailable as error:
                unavailable = error
                if group := _fail_overdue(group, error):
                    await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever a poisoned row breaks, its neighbours must not suffer
                return await self._commit_one_by_one(group, error)
            else:
                _succeed(group, numbers)
                return None
        return unavailable

    async def _commit_one_by_one(self, group: list[_Waiting], error: Exception) -> LedgerUnavailable | None:
        if len(group) == 1:
            reason = error.orig if isinstance(error, DBAPIError) else error
            _fail(group[0], EventNotStorable(f"the ledger refused this event: {reason}"))
            return None
        unavailable = None
        rest = group
        while rest:
            unavailable = await self._commit(rest[:1])
            rest = rest[1:] if unavailable is None else _fail_overdue(rest[1:], unavailable)
        return unavailable

    async def _write(self, rows: list[NewEvent]) -> list[int]:
        return await self._ledger.write(lambda connection: journal.append(connection, rows))


def _fail_overdue(group: list[_Waiting], error: LedgerUnavailable) -> list[_Waiting]:
    """Tell those that were held long enough; the others."""
    now = asyncio.get_running_loop().time()
    for waiting in group:
        if now >= waiting.until:
            _fail(waiting, error)
    return [waiting for waiting in group if now < waiting.until]


def _succeed(group: list[_Waiting], numbers: list[int]) -> None:
    rest = iter(numbers)
    for waiting in group:
        theirs = [next(rest) for _ in waiting.rows]
        if not waiting.written.done():
            waiting.written.set_result(theirs)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.written.done():
        waiting.written.set_exception(error)
