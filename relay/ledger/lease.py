"""Holding a lease: the loop that only one process may run."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection

from relay.instants import Instant
from relay.ledger import LeaseLost, Ledger, LedgerError, leases
from relay.logs import get_logger

log = get_logger("relay.ledger")

_STANDBY_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 1.0
_HOLD_SECONDS: Final = 2.0
_YIELD_SECONDS: Final = 1.2
"""Longer than the holder that was sent away stands by: it goes on between turns."""

_RELEASE_SECONDS: Final = 1.0
"""A ledger that hangs must not hold up a stop."""

_SECOND: Final = 1_000_000


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Until the event, but not longer.

    `asyncio.wait_for` of Python 3.11 loses a cancellation that comes together with the event, and
    the loop that was to stop would run for ever.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Lease:
    """One lease of this process. It is proven, and so held on, in each transaction that matters."""

    def __init__(self, ledger: Ledger, name: str, *, seconds: float) -> None:
        self._ledger = ledger
        self.name = name
        self._length = int(seconds * _SECOND)
        self._checked_at = 0
        self._token = 0

    async def serve(self, work: Callable[[], Awaitable[None]], failed: Callable[[Exception], None]) -> None:
        """Work whenever it is ours, until cancelled. Whatever failed, the next round may go well."""
        while True:
            try:
                await self.acquire()
                await work()
            except LeaseLost:
                log.warning("lease.lost", lease=self.name, owner=self._ledger.owner)
            except Exception as error:  # noqa: BLE001 - `failed` tells it
                failed(error)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def acquire(self) -> None:
        """Stand by until it is ours."""
        while (token := await self._ledger.write(self._try)) is None:  # noqa: ASYNC110 - see below
            # The holder is another process: there is no event to wait for.
            await asyncio.sleep(_STANDBY_SECONDS)
        self._token = token
        log.info("lease.acquired", lease=self.name, owner=self._ledger.owner, token=token)

    async def preempt(self) -> None:
        """Take it from whoever holds it, for a short work that a person asked for."""
        token = await self._ledger.write(lambda connection: self._try(connection, force=True))
        assert token is not None  # noqa: S101 - nobody can refuse
        self._token = token

    def _try(self, connection: Connection, *, force: bool = False) -> int | None:
        # The holder may have been killed since this process began to stand by.
        leases.free_orphans(connection)
        self._checked_at = now = self._ledger.now()
        return leases.acquire(
            connection, self.name, self._ledger.owner, now=now, length=self._length, force=force
        )

    def check(self, connection: Connection) -> None:
        """Make sure, within this transaction, that it is still ours. Raises `LeaseLost`."""
        now = self._ledger.now()
        leases.check(connection, self.name, self._token, now=now, length=self._length)
        self._checked_at = now

    def now(self) -> Instant:
        """The ledger's clock."""
        return self._ledger.now()

    async def renew(self) -> None:
        """Hold it on while there is nothing to write. Raises `LeaseLost`."""
        if abs(self._ledger.now() - self._checked_at) > self._length // 3:
            await self._ledger.write(self.check)

    async def release(self) -> None:
        """Let another process have it at once; where the ledger cannot say so, it runs out."""
        with suppress(LedgerError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._ledger.write(lambda c: leases.release(c, self.name, self._token))


async def run_in_slices(lease: Lease, portion: Callable[[], Awaitable[bool]]) -> None:
    """Do a long work that a person asked for, beside the lease's holder, who has its turn every two seconds.

    `portion` does the next part of it, and says whether there may be more. Raises `LeaseLost`.
    """
    more = True
    while more:
        await lease.preempt()
        try:
            give_way_at = time.monotonic() + _HOLD_SECONDS
            while more := await portion():
                if time.monotonic() >= give_way_at:
                    break
        finally:
            await lease.release()
        if more:
            await asyncio.sleep(_YIELD_SECONDS)
