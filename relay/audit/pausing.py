"""The wait of an audit while a destination is paused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from relay.delivery.pauses import BRIEF_PAUSES
from relay.instants import SECOND, Duration, duration
from relay.ledger import Ledger, destinations
from relay.ledger.destinations import DestinationRow

_PATIENCE: Final = duration(600)
"""The longest wait. A CRM that is throttled for the rest of the day is not compared."""


async def wait_for_pause(
    ledger: Ledger, name: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> str | None:
    """Return why nothing is to be read from this destination: a person paused it, or it just refused calls.
    None if it may be read. A brief pause is waited for, since deliveries are throttled for seconds in any
    night. Raises `LedgerError`.
    """
    waited = Duration(0)
    while True:
        row = await _read(ledger, name)
        if row is None or row.paused_reason is None:
            return None
        if row.paused_reason not in BRIEF_PAUSES or row.paused_until is None:
            return row.paused_reason
        wait = Duration(row.paused_until - ledger.now())
        if wait <= 0:
            return None  # the CRM may be asked again
        waited = Duration(waited + wait)
        if waited > _PATIENCE:
            return row.paused_reason
        await sleep(wait / SECOND)


async def _read(ledger: Ledger, name: str) -> DestinationRow | None:
    rows = await ledger.read(destinations.list_all)
    return next((row for row in rows if row.name == name), None)
