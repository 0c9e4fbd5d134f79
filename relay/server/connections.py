"""The connections of one process: how many there may be, and which are closed when there are too many."""

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from typing import Final, Protocol

from relay.logs import get_logger

log = get_logger("relay.server")

RESERVED_FILES: Final = 200
"""Open files that are left for the ledger, for connections to CRMs, and for connections that the system
accepted before the relay could close others."""

_FEWEST_WANTED: Final = 1_000
_FILES_ON_WINDOWS: Final = 8_192
"""Windows does not count sockets as files."""

_REPORT_SECONDS: Final = 10.0
"""The log has at most one line about closed connections in this time."""


class Connection(Protocol):
    """What `Connections` needs of a connection."""

    def abort(self) -> None:
        """Close the connection at once."""


class Connections:
    """Counts connections, and closes the ones that wait when there are more than `limit`.

    Connections that wait for their next request are closed first, then those whose request head is not
    complete, the oldest first. A connection with a request in progress is never closed.
    """

    def __init__(self, limit: int, *, report_seconds: float = _REPORT_SECONDS) -> None:
        self.limit = limit
        self._report_seconds = report_seconds
        self._open: set[Connection] = set()
        # Dictionaries as ordered sets: the connection that waits longest is first.
        self._idle: dict[Connection, None] = {}
        self._unfinished: dict[Connection, None] = {}
        self._closed = Counter[str]()
        self._report_timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> bool:
        """Count a new connection, if need be in place of one that waits. False if there is no place."""
        if len(self._open) >= self.limit and not self._evict():
            return False
        self._open.add(connection)
        self._unfinished[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """Stop to count a closed connection."""
        self._open.discard(connection)
        self.set_busy(connection)

    def set_busy(self, connection: Connection) -> None:
        """Keep the connection open: it has a request in progress."""
        self._idle.pop(connection, None)
        self._unfinished.pop(connection, None)

    def set_idle(self, connection: Connection) -> None:
        """The connection waits for its next request, unless it was closed before its response ended."""
        if connection in self._open:
            self._idle[connection] = None

    def set_unfinished(self, connection: Connection) -> None:
        """The connection has a part of a request head."""
        self._idle.pop(connection, None)
        self._unfinished.setdefault(connection)

    def _evict(self) -> bool:
        for waiting, reason in ((self._idle, "idle"), (self._unfinished, "unfinished")):
            for connection in waiting:
                self.remove(connection)
                connection.abort()
                self.count(reason)
                return True
        return False

    # --- report ---------------------------------------------------------------------------------

    def count(self, reason: str) -> None:
        """Count a connection that the relay closed. The log says it in sum: an attack fills no disk."""
        self._closed[reason] += 1
        if self._report_timer is None:
            self._report()

    def _report(self) -> None:
        if not self._closed:
            self._report_timer = None
            return
        log.warning("server.connections_closed", limit=self.limit, closed=dict(self._closed))
        self._closed.clear()
        self._report_timer = asyncio.get_running_loop().call_later(self._report_seconds, self._report)


def connection_limit(open_files: int, max_in_flight: int) -> int:
    """Return how many connections a process may have that can open this many files.

    That is twice the requests in flight, because connections of proxies are idle between two requests.
    """
    wanted = max(_FEWEST_WANTED, 2 * max_in_flight)
    return min(wanted, open_files - min(RESERVED_FILES, open_files // 2))


def raise_open_files() -> int:
    """Raise the limit of open files of this process as far as the system allows, and return the limit."""
    if sys.platform == "win32":
        return _FILES_ON_WINDOWS
    import resource  # noqa: PLC0415 - not available on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems refuse the limit that they report
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
