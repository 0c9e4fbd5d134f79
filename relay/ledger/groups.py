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
from relay.ledger.engine import LedgerError
from relay.ledger.journal import EventRow
from relay.ledger.ledger import Ledger, LedgerUnavailable

HOLD_SECONDS: Final = 5.0
"""How long requests are held while the ledger cannot take them, before they are told so."""

_RETRY_SECONDS: Final = 0.1
_LARGEST_GROUP: Final = 1_000
_LARGEST_GROUP_BYTES: Final = 8 * 1024 * 1024


class Unstorable(LedgerError):
    """The ledger takes other events and not this one."""


class _Waiting(msgspec.Struct, eq=False):
    rows: list[EventRow]
    size: int
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
    def pressing(self) -> bool:
        """Whether requests wait for a commit: others should give way."""
        return bool(self._waiting)

    def stamp(self) -> int:
        """The moment of arrival, ever growing within this process: no two events share one."""
        self._last_stamp = max(self._ledger.now(), self._last_stamp + 1)
        return self._last_stamp

    async def append(self, rows: list[EventRow]) -> list[int]:
        """The events' sequence numbers, once they are on disk; all of them or none.

        Raises `LedgerUnavailable` after a hold, or `Unstorable`.
        """
        size = sum(len(row.raw or b"") for row in rows)
        waiting = _Waiting(rows, size, asyncio.get_running_loop().create_future())
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

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            numbers = iter(await self._write_within_hold([row for waiting in group for row in waiting.rows]))
        except LedgerUnavailable as error:
            for waiting in group:
                _fail(waiting, error)
        except Exception as error:  # noqa: BLE001 - whatever a poisoned row breaks, its neighbours must not suffer
            await self._commit_one_by_one(group, error)
        else:
            for waiting in group:
                _succeed(waiting, [next(numbers) for _ in waiting.rows])

    async def _commit_one_by_one(self, group: list[_Waiting], error: Exception) -> None:
        if len(group) == 1:
            reason = error.orig if isinstance(error, DBAPIError) else error
            _fail(group[0], Unstorable(f"the ledger refused this event: {reason}"))
            return
        for waiting in group:
            await self._commit([waiting])

    async def _write_within_hold(self, rows: list[EventRow]) -> list[int]:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._hold_seconds
        while True:
            try:
                return await self._ledger.write(lambda connection: journal.append(connection, rows))
            except LedgerUnavailable:
                if loop.time() >= give_up_at:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)


def _succeed(waiting: _Waiting, numbers: list[int]) -> None:
    if not waiting.written.done():
        waiting.written.set_result(numbers)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.written.done():
        waiting.written.set_exception(error)
