"""The heartbeat of a relay: it renews the relay's row in the table of relays that run."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

from relay.ledger.engine import HEAD
from relay.ledger.errors import LedgerError
from relay.ledger.ledger import Ledger
from relay.ledger.process_identity import owner_name
from relay.ledger.relays import RelayRow, remove, renew

_INTERVAL_SECONDS: Final = 10.0
_REMOVE_SECONDS: Final = 1.0
"""A database that hangs must not delay a stop."""


class Heartbeat:
    """Renews the row of this relay until it is cancelled. `pid`: of its first process, the supervisor's if it
    has several.
    """

    def __init__(self, ledger: Ledger, pid: int, *, interval_seconds: float = _INTERVAL_SECONDS) -> None:
        self._ledger = ledger
        self._pid = pid
        self._owner = owner_name(many_hosts=ledger.path is None, pid=pid)
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Write the row now and again and again; delete it at the end."""
        started_at = self._ledger.now()
        host = self._owner.partition("/")[0].partition("@")[0]
        try:
            while True:
                row = RelayRow(self._owner, host, self._pid, started_at, self._ledger.now(), HEAD)
                # What fails shows in `/readyz`, and the row becomes old.
                with suppress(LedgerError):
                    await self._ledger.write(partial(renew, row=row))
                await asyncio.sleep(self._interval_seconds)
        finally:
            with suppress(LedgerError, TimeoutError):
                async with asyncio.timeout(_REMOVE_SECONDS):
                    await self._ledger.write(lambda connection: remove(connection, self._owner))
