"""The databases that a chaos runs on. Another engine is one more line of `ENGINES`."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.support.postgres import running_server

_AWAY_SECONDS: Final = 2.0


class Database(msgspec.Struct, frozen=True):
    """Where the ledger lies. `restart`: the whole server stops, by this signal, and starts; None where
    there is no server.
    """

    url: str
    restart: Callable[[signal.Signals], None] | None = None


@contextmanager
def sqlite(folder: Path) -> Iterator[Database]:
    yield Database(f"sqlite:///{folder / 'relay.db'}")


@contextmanager
def postgresql(_: Path) -> Iterator[Database]:
    """A server of its own, as durable as it comes: it is made to crash."""
    with running_server() as server:

        def restart(by: signal.Signals) -> None:
            with server.down(by):
                time.sleep(_AWAY_SECONDS)

        yield Database(server.dsn, restart)


ENGINES: Final[dict[str, Callable[[Path], AbstractContextManager[Database]]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}
SHARED: Final = tuple(name for name in ENGINES if name != "sqlite")
"""Those that several relays on several machines can share."""
