"""Watches the files of an SQLite ledger, so that a removed or damaged ledger is noticed without traffic."""

import asyncio
from contextlib import suppress
from typing import Final

from relay.ledger.errors import LedgerDamaged, LedgerUnavailable
from relay.ledger.ledger import Ledger
from relay.logs import get_logger

log = get_logger("relay.ledger")

_INTERVAL_SECONDS: Final = 1.0


async def watch_ledger(ledger: Ledger) -> None:
    """Log when the ledger becomes unusable, and when it can be used again, until cancelled."""
    if ledger.path is None:
        return
    last_problem = None
    while True:
        problem = None
        try:
            await ledger.check_files()
        except LedgerUnavailable as error:
            problem = str(error)
            if not isinstance(error, LedgerDamaged):
                await _save_wal(ledger)
        _log_change(last_problem, problem)
        last_problem = problem
        await asyncio.sleep(_INTERVAL_SECONDS)


def _log_change(before: str | None, now: str | None) -> None:
    if now is not None and now != before:
        log.error("ledger.unusable", problem=now)
    elif now is None and before is not None:
        log.info("ledger.usable")


async def _save_wal(ledger: Ledger) -> None:
    """Make the file that this process has open complete, wherever it is now.

    If the WAL was removed, it exists only as long as this process. If the database was replaced, SQLite would
    apply the WAL of the old file to the new one at the next start.
    """
    with suppress(LedgerUnavailable):  # tried again in the next round
        await ledger.empty_wal()
