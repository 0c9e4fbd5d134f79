"""Notifications of what other processes wrote, so that no worker waits for its next poll.

PostgreSQL: NOTIFY and LISTEN. SQLite: `PRAGMA data_version`, which changes with each commit of another
connection. Behind a connection pooler neither works, and the listener wakes the workers several times a
second. Every worker also polls by itself, so a lost notification costs a second and nothing else.

The processes of one relay have a pipe besides, which is quicker and costs a system call.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import text

from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerUnavailable, NotificationsUnavailable
from relay.ledger.ledger import Ledger
from relay.ledger.process_identity import owner_name
from relay.logs import get_logger

log = get_logger("relay.ledger")

CHANNEL: Final = "cloudtalk_relay"

_CHECK_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 1.0
_PIPE_BYTES: Final = 65_536
_notify = text("SELECT pg_notify(:channel, :sender)")


def notify(connection: Connection) -> None:
    """Wake the workers of other processes once this transaction is committed. SQLite needs no statement."""
    if connection.dialect.name == "postgresql":
        connection.execute(_notify, {"channel": CHANNEL, "sender": _sender(os.getpid())})


@cache
def _sender(_pid: int) -> str:
    """This process, which ignores its own notifications. Cached by process id: a fork has another one."""
    return owner_name(many_hosts=True)


class WakeUpPipe:
    """Wakes the process that folds when another process of this relay stored events.

    It is made before the processes are forked. Bytes in it that a killed process did not read, or did,
    change nothing: a new one looks for events at its start.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def wake(self) -> None:
        """Wake the process that listens."""
        with suppress(BlockingIOError):  # so many bytes wait that it will wake anyway
            os.write(self._write_end, b"\0")

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` for each wake-up, or once for several at the same time, until cancelled."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            os.read(self._read_end, _PIPE_BYTES)
            wake()

        loop.add_reader(self._read_end, read)
        try:
            await loop.create_future()
        finally:
            loop.remove_reader(self._read_end)


class NotificationListener:
    """Calls `wake` when another process may have written something.

    `check_seconds`: how often SQLite's data version is read. `poll_seconds`: how often `wake` is called
    behind a pooler. `retry_seconds`: how long to wait after a failure.
    """

    def __init__(
        self,
        ledger: Ledger,
        wake: Callable[[], None],
        *,
        check_seconds: float = _CHECK_SECONDS,
        poll_seconds: float = _POLL_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._wake = wake
        self._check_seconds = check_seconds
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                path = self._ledger.path
                await (self._listen() if path is None else self._watch_data_version(path))
            except NotificationsUnavailable as error:
                log.warning("ledger.polling", reason=str(error))
                await self._poll()
            except (LedgerUnavailable, sqlite3.Error):
                # Not logged: the workers log it, and find by polling what was missed meanwhile.
                await asyncio.sleep(self._retry_seconds)

    async def _listen(self) -> None:
        from relay.ledger.postgres import listen  # noqa: PLC0415 - see `open_engine`

        async with aclosing(listen(self._ledger.url, CHANNEL)) as senders:
            async for sender in senders:
                if sender != _sender(os.getpid()):
                    self._wake()

    async def _watch_data_version(self, path: str) -> None:
        # Reading the data version waits for no lock: it needs no thread.
        with closing(_connect_to_existing(path)) as connection:
            last_version, own_writes = None, self._ledger.writes
            while True:
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                # A write of this process changes the version too, and has woken the workers already. With it
                # they find what another process wrote in the same interval, or by polling.
                if version != last_version and self._ledger.writes == own_writes:
                    self._wake()
                last_version, own_writes = version, self._ledger.writes
                await asyncio.sleep(self._check_seconds)

    async def _poll(self) -> None:
        while True:
            self._wake()
            await asyncio.sleep(self._poll_seconds)


def _connect_to_existing(path: str) -> sqlite3.Connection:
    """Connect without creating a missing file, which other users could read. Raises `sqlite3.Error`."""
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True, timeout=0)
