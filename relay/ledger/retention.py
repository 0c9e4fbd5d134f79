"""Retention: old rows are deleted once an hour, by one process at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from relay.instants import Duration, Instant, duration, iso
from relay.ledger import (
    actions,
    attempts,
    audits,
    delivered_counts,
    enrichments,
    history_cursors,
    retention_queries,
    tombstones,
    warnings,
)
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerUnavailable
from relay.ledger.lease_holder import Lease
from relay.ledger.ledger import Ledger
from relay.logs import get_logger

T = TypeVar("T")

log = get_logger("relay.ledger")

_INTERVAL_SECONDS: Final = 3_600.0
_RENEW_SECONDS: Final = 15.0
_LEASE_SECONDS: Final = 60.0
_YIELD_SECONDS: Final = 0.05
_DAY_SECONDS: Final = 86_400


_TOMBSTONE_AGE: Final = duration(3_650 * _DAY_SECONDS)
"""How long a late event still continues a call that was deleted."""

_DELIVERED_COUNTS_AGE: Final = duration(2 * _DAY_SECONDS)
"""The least, however short attempts are kept: a day of 25 hours is counted whole. A count names nobody."""

_LONGEST_JUMP: Final = duration(_DAY_SECONDS)


class RetentionWorker:
    """Deletes events, quarantined bodies, calls, attempts, audits, client state and cursors that are too old.

    It deletes nothing while the clock cannot be trusted: a clock that is years ahead makes all calls old.
    `also` is awaited after each deletion. `monotonic` returns seconds that no setting of the clock changes.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        events_days: float,
        calls_days: float,
        attempts_days: float,
        also: Callable[[], Awaitable[None]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._also = also
        self._monotonic = monotonic
        self._newest_sign: Instant | None = None
        self._sign_seen_at = monotonic()
        self._lease = Lease(ledger, "retention", seconds=_LEASE_SECONDS)
        self._events_age = duration(events_days * _DAY_SECONDS)
        self._calls_age = duration(calls_days * _DAY_SECONDS)
        self._attempts_age = duration(attempts_days * _DAY_SECONDS)

    async def run(self) -> None:
        """Delete now and every hour, until cancelled."""
        try:
            await self._lease.serve(self._serve, _log_failure)
        finally:
            await self._lease.release()

    async def _serve(self) -> None:
        while True:
            await self.delete_old_rows()
            for _ in range(int(_INTERVAL_SECONDS / _RENEW_SECONDS)):
                await asyncio.sleep(_RENEW_SECONDS)
                await self._lease.renew()

    async def delete_old_rows(self) -> None:
        """Delete all that is old, one portion per transaction. The lease must be held."""
        now = self._ledger.now()
        if await self._refuse_after_jump(now):
            return
        events_before, calls_before = _before(now, self._events_age), _before(now, self._calls_age)
        after: int | None = 0
        while after is not None:
            after = await self._run_portion(
                partial(
                    retention_queries.delete_old_events,
                    before=events_before,
                    at_latest=min(events_before, calls_before),
                    after=after,
                    now=now,
                )
            )
        while await self._run_portion(
            partial(retention_queries.delete_old_calls, before=calls_before, now=now)
        ):
            pass
        attempts_before = _before(now, self._attempts_age)
        for delete_old in (attempts.delete_old, actions.delete_old, audits.delete_old):
            while await self._run_portion(
                partial(delete_old, before=attempts_before, limit=retention_queries.PORTION)
            ):
                pass
        counts_before = min(attempts_before, _before(now, _DELIVERED_COUNTS_AGE))
        await self._run_portion(partial(delivered_counts.delete_old, before=counts_before))
        tombstones_before = _before(now, _TOMBSTONE_AGE)
        while await self._run_portion(
            partial(tombstones.delete_old, before=tombstones_before, limit=retention_queries.PORTION)
        ):
            pass
        await self._run_portion(partial(retention_queries.delete_old_quarantine, before=events_before))
        await self._run_portion(partial(retention_queries.delete_old_client_state, before=calls_before))
        await self._run_portion(partial(history_cursors.delete_old, before=events_before))
        while await self._run_portion(
            partial(enrichments.delete_old, before=events_before, limit=retention_queries.PORTION)
        ):
            pass
        if self._also is not None:
            await self._also()

    async def _refuse_after_jump(self, now: Instant) -> bool:
        """Whether the clock jumped by more than a day. Write a warning if so, else remove the one before."""
        newest = await self._ledger.read(retention_queries.newest_sign_of_time)
        if newest != self._newest_sign:
            self._newest_sign, self._sign_seen_at = newest, self._monotonic()
        has_passed = duration(self._monotonic() - self._sign_seen_at)
        if newest is None or now - newest - has_passed <= _LONGEST_JUMP:
            await self._run_portion(lambda c: warnings.clear(c, warnings.CLOCK_JUMPED))
            return False
        message = (
            f"the clock says {iso(now)}, but the newest call is of {iso(newest)}; nothing is deleted until"
            " a new call confirms the clock"
        )
        log.warning("retention.refused", reason=message)
        await self._run_portion(lambda c: warnings.record(c, warnings.CLOCK_JUMPED, now, message))
        return True

    async def _run_portion(self, portion: Callable[[Connection], T]) -> T:
        """Run one portion; then other writers of the ledger have a turn."""

        def checked(connection: Connection) -> T:
            self._lease.check(connection)
            return portion(connection)

        result = await self._ledger.write(checked)
        await asyncio.sleep(_YIELD_SECONDS)
        return result


def _before(now: Instant, age: Duration) -> Instant:
    return Instant(now - age)


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("retention.failed", error=str(error))
    else:
        log.error("retention.failed", exc_info=error)
