"""Running the server: the port, the ready line, the signals, the exit code."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from relay import __version__
from relay.logs import get_logger

log = get_logger("relay.server")

_DRAIN_SECONDS: Final = 5
_BACKLOG: Final = 2048
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED: Final = 130

_ANOTHER_PORT: Final = "set server.port (RELAY__SERVER__PORT) to another, 0 for any free"
_ANOTHER_HOST: Final = "set server.host (RELAY__SERVER__HOST) to a name or an address of this machine"
_HINTS: Final = {
    errno.EADDRINUSE: f"stop what listens there, or {_ANOTHER_PORT}",
    errno.EACCES: f"ports below 1024 need root's rights: {_ANOTHER_PORT}",
}


class PortError(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises `PortError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python repeats the address in its own words, which the message begins with.
        reason = str(error.strerror or error).partition(" (while")[0]
        hint = _HINTS.get(error.errno or 0, _ANOTHER_HOST)
        raise PortError(f"cannot listen on {host}:{port}: {reason}; {hint}") from error


def hold_hangups() -> None:
    """A SIGHUP that comes while the relay starts waits until it is ready: it would end the process."""
    if hasattr(signal, "SIGHUP"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop that this platform has."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.new_event_loop()


class Server(uvicorn.Server):
    """Uvicorn, saying when it is ready and ending as a service should."""

    def __init__(
        self,
        app: ASGIApp,
        url: str,
        *,
        on_hangup: Callable[[], Awaitable[None]] | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._url = url
        self._on_hangup = on_hangup
        self._on_stop = on_stop
        self._hangups: set[asyncio.Task[None]] = set()
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where the relay can be reached."""
        try:
            await super().startup(sockets)
        except SystemExit:  # with a code of uvicorn's own; its log says why, `exit_code` says that
            self.should_exit = True
        if self.started:
            log.info("server.ready", url=self._url, version=__version__)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was begun and stop."""
        log.info("server.stopping")
        self._on_stop()
        await super().shutdown(sockets)
        log.info("server.stopped")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop as uvicorn does, and remember whether a person asked for it."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn raises the signal again once it has stopped; a service that ends in order ends with 0."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in _SIGNALS}
        if self._on_hangup is not None and hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up, self._on_hangup)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _hang_up(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(work())
        self._hangups.add(task)
        task.add_done_callback(self._hangups.discard)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if not self.started:
            return 1
        return _INTERRUPTED if self.interrupted else 0
