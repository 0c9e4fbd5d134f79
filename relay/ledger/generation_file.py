"""A small file beside an SQLite ledger: by it a start notices that an older copy replaced the ledger.

It holds the epoch and the highest number of an event. Both only grow in a ledger. If the file has more than
the ledger, somebody copied a backup over the ledger. The file is written about once a second and not synced:
after a crash of the machine it may be older than the ledger, which proves nothing.
"""

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import text

from relay.ledger import epochs
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerUnavailable
from relay.ledger.ledger import Ledger
from relay.logs import get_logger
from relay.standards.private_files import create_private_file

log = get_logger("relay.ledger")

_INTERVAL_SECONDS: Final = 1.0
_last_event = text("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'")


class Generation(NamedTuple):
    """How far a ledger has come: its epoch, then the highest number of an event that it ever had."""

    epoch: int
    last_event: int


_NOTHING: Final = Generation(0, 0)


class GenerationFile:
    """The file of this ledger, whether it exists or not."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(ledger.name + ".generation")
        self._lock = threading.Lock()

    def read(self) -> Generation:
        """Return what the file says; zeros if it is missing or damaged."""
        try:
            epoch, last_event = map(int, self._path.read_text().split())
        except (OSError, ValueError):
            return _NOTHING
        return Generation(epoch, last_event)

    def update(self, generation: Generation) -> None:
        """Replace the file if it has less than this; several threads may call it. Raises `OSError`."""
        with self._lock:
            if generation > self.read():
                self.write(generation)

    def write(self, generation: Generation) -> None:
        """Replace the file. Raises `OSError`."""
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            create_private_file(new)
            new.write_text(f"{generation.epoch} {generation.last_event}\n")
            new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)  # it is only there if one of these failed

    def remove(self) -> None:
        """Remove the file, whose ledger was replaced."""
        self._path.unlink(missing_ok=True)


async def begin_epoch_after_restore(ledger: Ledger) -> None:
    """Begin a new epoch if the file has more than the ledger. Raises `LedgerUnavailable`."""
    if ledger.path is None:
        return
    file = GenerationFile(Path(ledger.path))

    def compare(connection: Connection) -> tuple[int, int] | None:
        # Read in the writing transaction: of several workers only the first one begins an epoch.
        written, found = file.read(), read_generation(connection)
        if found >= written:
            return None
        epoch = epochs.begin(connection, now=ledger.now(), at_least=written.epoch + 1)
        return epoch, max(written.last_event - found.last_event, 0)

    restored = await ledger.write(compare)
    if restored is not None:
        epoch, missing_events = restored
        log.warning("ledger.restored", epoch=epoch, missing_events=missing_events)


async def keep_generation_file(ledger: Ledger) -> None:
    """Keep the file current until cancelled, and write it once more then."""
    if ledger.path is None:
        return
    file = GenerationFile(Path(ledger.path))
    try:
        while True:
            await _update(file, ledger)
            await asyncio.sleep(_INTERVAL_SECONDS)
    finally:
        await _update(file, ledger)


async def _update(file: GenerationFile, ledger: Ledger) -> None:
    with suppress(LedgerUnavailable, OSError):  # the next round tries again
        generation = await ledger.read(read_generation)
        # To create and rename a file takes long while the file system commits what the ledger synced.
        await asyncio.to_thread(file.update, generation)


def read_generation(connection: Connection) -> Generation:
    """Return how far an SQLite ledger has come."""
    return Generation(epochs.current(connection), int(connection.execute(_last_event).scalar_one()))
