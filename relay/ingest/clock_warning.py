"""The warning that the time of a signature is off: `relay check` shows it until a signature is on time."""

import time
from collections.abc import Callable
from typing import Final

from relay.instants import Instant, iso
from relay.ledger import Ledger, warnings
from relay.ledger.warnings import CLOCK_OFF
from relay.logs import get_logger
from relay.standards.webhooks import StaleSignature

log = get_logger("relay.ingest")

INTERVAL_SECONDS: Final = 60.0
"""Anybody who recorded a signed message can send it at any rate, and each warning is a commit."""


class ClockWarning:
    """Logs and stores the warning, at most once in the interval. `now` returns monotonic seconds."""

    def __init__(self, ledger: Ledger, now: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._now = now
        self._next_at = now()
        # An earlier process may have left the warning; the first signature that is on time clears it.
        self._may_be_stored = True

    async def add(self, error: StaleSignature, received_at: Instant) -> None:
        """Warn of a signature that was verified at `received_at`. Raises `LedgerUnavailable`."""
        if self._now() < self._next_at:
            return
        self._next_at = self._now() + INTERVAL_SECONDS
        log.warning("ingest.clock_off", seconds=error.seconds)
        message = f"{error} (server time {iso(received_at)})"
        await self._ledger.write(
            lambda connection: warnings.record(connection, CLOCK_OFF, received_at, message)
        )
        self._may_be_stored = True

    async def clear(self) -> None:
        """Remove the warning: a signature was on time. Raises `LedgerUnavailable`."""
        if self._may_be_stored:
            await self._ledger.write(lambda connection: warnings.clear(connection, CLOCK_OFF))
            self._may_be_stored = False
