"""The databases on which chaos runs are made. A further engine is a further entry of `ENGINES`."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.support.postgres import running_postgres

_DOWN_SECONDS: Final = 2.0


class Database(msgspec.Struct, frozen=True):
    """The database of a ledger. `restart`: stop the server with this signal and start it; None if there is
    no server. `server`: the server's URL for a superuser.
    """

    url: str
    restart: Callable[[signal.Signals], None] | None = None
    server: str | None = None


@contextmanager
def sqlite(folder: Path) -> Iterator[Database]:
    yield Database(f"sqlite:///{folder / 'relay.db'}")


@contextmanager
def postgresql(_: Path) -> Iterator[Database]:
    """Run a server for this run only, with its default durability: the run crashes it."""
    with running_postgres() as server:

        def restart(by: signal.Signals) -> None:
            with server.down(by):
                time.sleep(_DOWN_SECONDS)

        yield Database(server.dsn, restart, server.dsn)


ENGINES: Final[dict[str, Callable[[Path], AbstractContextManager[Database]]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}
SHARED: Final = tuple(name for name in ENGINES if name != "sqlite")
"""The engines that relays on several machines can share."""
