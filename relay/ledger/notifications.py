"""Hearing what other processes write, so that nobody waits for a poll.

PostgreSQL tells by LISTEN; SQLite's file bears a number that changes. Behind a pooler neither can be
had, and the ledger is looked at several times a second. Every step polls besides, so that a wake-up
that is lost costs a second and nothing else.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import aclosing, closing
from functools import cache
from typing import Final

from sqlalchemy import Connection, text

from relay.ledger.errors import LedgerUnavailable, Pooled
from relay.ledger.ledger import Ledger
from relay.ledger.process_identity import owner_name
from relay.logs import get_logger

log = get_logger("relay.ledger")

CHANNEL: Final = "cloudtalk_relay"

_LOOK_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 1.0
_TELL: Final = text("SELECT pg_notify(:channel, :by)")


def notify(connection: Connection) -> None:
    """Wake the other processes once this transaction is committed. On SQLite the commit itself does."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TELL, {"channel": CHANNEL, "by": _process(os.getpid())})


@cache
def _process(_pid: int) -> str:
    """Who tells: it need not hear itself. By its number, since a fork has another one."""
    return owner_name(many_hosts=True)


class NotificationListener:
    """Calls `wake` whenever another process may have written something; `run` it beside the steps."""

    def __init__(self, ledger: Ledger, wake: Callable[[], None]) -> None:
        self._ledger = ledger
        self._wake = wake

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                path = self._ledger.path
                await (self._listen() if path is None else self._look(path))
            except Pooled as reason:
                log.warning("ledger.polling", reason=str(reason))
                await self._poll()
            except (LedgerUnavailable, sqlite3.Error):
                # Whoever needs the ledger says so; what is missed meanwhile, the steps find by polling.
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        from relay.ledger.postgres import listen  # noqa: PLC0415 - see open_engine

        async with aclosing(listen(self._ledger.url, CHANNEL)) as heard:
            async for by in heard:
                if by != _process(os.getpid()):
                    self._wake()

    async def _look(self, path: str) -> None:
        # Reading the number waits for nobody: it needs no thread.
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            seen, ours = None, self._ledger.writes
            while True:
                (number,) = connection.execute("PRAGMA data_version").fetchone()
                # What this process writes changes the number too, and has woken the steps already: while
                # it writes, what others write is found with it, or by polling.
                if number != seen and self._ledger.writes == ours:
                    self._wake()
                seen, ours = number, self._ledger.writes
                await asyncio.sleep(_LOOK_SECONDS)

    async def _poll(self) -> None:
        while True:
            self._wake()
            await asyncio.sleep(_POLL_SECONDS)
