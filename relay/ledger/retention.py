"""Keeping the ledger small: once an hour, what has served its time is dropped, by one process at a time."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from relay.ledger import Ledger, LedgerUnavailable, pruning
from relay.ledger.lease import Lease
from relay.logs import get_logger

T = TypeVar("T")

log = get_logger("relay.ledger")

_EVERY_SECONDS: Final = 3_600.0
_LEASE_SECONDS: Final = 60.0
_KEEP_SECONDS: Final = 15.0
_GIVE_WAY_SECONDS: Final = 0.05
_DAY: Final = 86_400 * 1_000_000


class RetentionWorker:
    """Drops events, quarantined bodies and calls that are older than the settings say, in days."""

    def __init__(self, ledger: Ledger, *, events_days: float, calls_days: float) -> None:
        self._ledger = ledger
        self._lease = Lease(ledger, "housekeeping", seconds=_LEASE_SECONDS)
        self._events = int(events_days * _DAY)
        self._calls = int(calls_days * _DAY)

    async def run(self) -> None:
        """Clean up now and every hour, until cancelled."""
        try:
            await self._lease.serve(self._serve, _failed)
        finally:
            await self._lease.release()

    async def _serve(self) -> None:
        while True:
            await self.clean()
            for _ in range(int(_EVERY_SECONDS / _KEEP_SECONDS)):
                await asyncio.sleep(_KEEP_SECONDS)
                await self._lease.renew()

    async def clean(self) -> None:
        """Drop all that is due, a portion a transaction."""
        now = self._ledger.now()
        after: int | None = 0
        while after is not None:
            events = partial(pruning.prune_events, before=now - self._events, after=after, now=now)
            after = await self._portion(events)
        while await self._portion(partial(pruning.prune_calls, before=now - self._calls)):
            pass
        await self._portion(partial(pruning.prune_quarantine, before=now - self._events))
        await self._portion(partial(pruning.prune_client_state, before=now - self._calls))

    async def _portion(self, work: Callable[[Connection], T]) -> T:
        """One portion; then intake and fold have their turn."""

        def proven(connection: Connection) -> T:
            self._lease.check(connection)
            return work(connection)

        done = await self._ledger.write(proven)
        await asyncio.sleep(_GIVE_WAY_SECONDS)
        return done


def _failed(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("housekeeping.failed", error=str(error))
    else:
        log.error("housekeeping.failed", exc_info=error)
