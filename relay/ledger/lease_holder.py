"""Holding a lease: work that only one process may do at a time, and that another takes over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from relay.instants import Instant, duration
from relay.ledger import leases
from relay.ledger.connection import Connection
from relay.ledger.errors import LeaseLost, LedgerError
from relay.ledger.ledger import Ledger
from relay.logs import get_logger

log = get_logger("relay.ledger")

_STANDBY_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0
_HOLD_SECONDS: Final = 2.0
_YIELD_SECONDS: Final = 1.2
"""Longer than the standby of the holder that was preempted: so it works between two slices."""

_RELEASE_SECONDS: Final = 1.0
"""A database that hangs must not delay a stop."""


class Lease:
    """A named lease of this process, valid for `seconds` after its last renewal.

    Each transaction that depends on the lease must call `check`, which renews it once a third of its length
    is over.
    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        *,
        seconds: float,
        standby_seconds: float = _STANDBY_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._length = duration(seconds)
        self._standby_seconds = standby_seconds
        self._retry_seconds = retry_seconds
        self._expires_at = Instant(0)
        self._token = 0

    async def serve(
        self, work: Callable[[], Awaitable[None]], on_failure: Callable[[Exception], None]
    ) -> None:
        """Acquire the lease and work, again after each failure, until cancelled."""
        while True:
            try:
                await self.acquire()
                await work()
            except LeaseLost:
                log.warning("lease.lost", lease=self.name, owner=self._ledger.owner)
            except Exception as error:  # noqa: BLE001 - `on_failure` logs it
                on_failure(error)
                await asyncio.sleep(self._retry_seconds)

    async def acquire(self) -> None:
        """Wait until no other process holds the lease, and take it."""
        while (token := await self._ledger.write(self._acquire)) is None:  # noqa: ASYNC110 - see below
            # The holder is another process: there is no event to wait for.
            await asyncio.sleep(self._standby_seconds)
        self._token = token
        log.info("lease.acquired", lease=self.name, owner=self._ledger.owner, token=token)

    async def preempt(self) -> None:
        """Take the lease from any holder, for a short work that an operator asked for."""
        token = await self._ledger.write(lambda connection: self._acquire(connection, force=True))
        assert token is not None  # noqa: S101 - with `force` it is never refused
        self._token = token

    def _acquire(self, connection: Connection, *, force: bool = False) -> int | None:
        # The holder may have been killed since the last try.
        leases.free_orphans(connection)
        now = self._ledger.now()
        self._expires_at = Instant(now + self._length)
        return leases.acquire(
            connection, self.name, self._ledger.owner, now=now, length=self._length, force=force
        )

    def check(self, connection: Connection) -> None:
        """Make sure that this process still holds the lease; renew it if that is due. Raises `LeaseLost`."""
        now = self._ledger.now()
        self._expires_at = leases.check(connection, self.name, self._token, now=now, length=self._length)

    def now(self) -> Instant:
        """Return the time of the ledger's clock."""
        return self._ledger.now()

    async def renew(self) -> None:
        """Renew the lease if that is due and no transaction did so. Raises `LeaseLost`."""
        if leases.is_renewal_due(self._expires_at, now=self._ledger.now(), length=self._length):
            await self._ledger.write(self.check)

    async def release(self) -> None:
        """Let another process have the lease now; if the ledger cannot be written, it expires."""
        with suppress(LedgerError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._ledger.write(lambda c: leases.release(c, self.name, self._token))


async def work_and_renew(lease: Lease, work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
    """Work, and renew the lease every so many seconds meanwhile: the work may wait for minutes.

    Raises `LeaseLost`, and what `work` raises.
    """
    task = asyncio.ensure_future(work())
    try:
        while not task.done():
            await asyncio.wait([task], timeout=seconds)
            await lease.renew()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_in_slices(
    lease: Lease,
    step: Callable[[], Awaitable[bool]],
    *,
    hold_seconds: float = _HOLD_SECONDS,
    yield_seconds: float = _YIELD_SECONDS,
) -> None:
    """Do long work that an operator asked for, while the worker that holds the lease works too.

    The lease is preempted for `hold_seconds` and released for `yield_seconds`, in turns. `step` does the next
    part of the work and returns whether there is more. Raises `LeaseLost`.
    """
    more = True
    while more:
        await lease.preempt()
        try:
            yield_at = time.monotonic() + hold_seconds
            while more := await step():
                if time.monotonic() >= yield_at:
                    break
        finally:
            await lease.release()
        if more:
            await asyncio.sleep(yield_seconds)
