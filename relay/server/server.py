"""The HTTP server of one process: its port, its signals, its exit code."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from relay import __version__
from relay.logs import get_logger
from relay.server.connections import Connections
from relay.server.memory import return_large_blocks
from relay.server.protocol import BoundedProtocol
from relay.server.rejections import SECURITY_HEADERS
from relay.server.service_manager import InheritedSocketError, notify_ready, take_socket
from relay.standards.addresses import is_loopback

log = get_logger("relay.server")

_DRAIN_SECONDS: Final = 5
"""How long requests in flight may take when the server stops."""
_BACKLOG: Final = 2048
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_EXIT_INTERRUPTED: Final = 130

_ANOTHER_PORT: Final = "set server.port (RELAY__SERVER__PORT) to another port, or to 0 for a free one"
_ANOTHER_HOST: Final = "set server.host (RELAY__SERVER__HOST) to a name or address of this machine"
_HINTS: Final = {
    errno.EADDRINUSE: f"stop the program that uses it, or {_ANOTHER_PORT}",
    errno.EACCES: f"ports below 1024 need root privileges; {_ANOTHER_PORT}",
}


class PortError(Exception):
    """The server cannot listen on its address. The message gives the reason and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Port 0 takes a free port. Raises `PortError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python appends the address to its message, which already starts with it.
        reason = str(error.strerror or error).partition(" (while")[0]
        hint = _HINTS.get(error.errno or 0, _ANOTHER_HOST)
        raise PortError(f"cannot listen on {host}:{port}: {reason}; {hint}") from error


def open_listening(host: str, port: int, *, only_local: bool) -> socket.socket:
    """Return the socket that the service manager passed, or else a new one at this address.

    `only_local`: a passed socket that other machines reach is refused. Raises `PortError`.
    """
    try:
        inherited = take_socket(os.environ)
    except InheritedSocketError as error:
        raise PortError(f"the service manager passed a socket that cannot be used: {error}") from error
    if inherited is None:
        return bind(host, port)
    address, inherited_port = inherited.getsockname()[:2]
    if only_local and not is_loopback(address):
        inherited.close()
        raise PortError(
            f"the service manager listens on {address}:{inherited_port}, which other machines reach, but"
            " there is no token and no signing secret; set cloudtalk.tokens, or write 127.0.0.1 before the"
            " port in the socket unit"
        )
    log.info("server.socket_inherited", address=f"{address}:{inherited_port}")
    return inherited


def block_sighup() -> None:
    """Delay a SIGHUP until the server can handle it; before that it would end the process."""
    if hasattr(signal, "SIGHUP"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, or asyncio's own on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - not available on Windows

    return uvloop.new_event_loop()


class Server(uvicorn.Server):
    """Uvicorn with a log line when it is ready, a reload on SIGHUP, and the exit codes of a service.

    `url`: where it accepts requests; None if it has no port and only runs the components of its process.
    A connection without a request is closed after `keep_alive_seconds`, or earlier if there are more than
    `max_connections`.
    `on_stop` is called at the start of a stop, before the last requests are answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        url: str | None,
        *,
        keep_alive_seconds: float,
        max_connections: int = 1_000,
        on_reload: Callable[[], Awaitable[None]] | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                # uvicorn only calls it.
                http=partial(BoundedProtocol, Connections(max_connections)),  # type: ignore[arg-type]
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                headers=list(SECURITY_HEADERS),
                proxy_headers=False,
                # uvicorn passes it to `loop.call_later`, which accepts fractions of a second, too.
                timeout_keep_alive=keep_alive_seconds,  # type: ignore[arg-type]
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._url = url
        self._on_reload = on_reload
        self._on_stop = on_stop
        self._reloads: set[asyncio.Task[None]] = set()
        self._is_interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start uvicorn, and log the URL of the relay or that the process works."""
        return_large_blocks()
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn logged the reason; `exit_code` gives the relay's own code
            self.should_exit = True
        if self.started:
            # The objects of the start live as long as the process. The garbage collector holds up the event
            # loop; without them it is short even while a large body is parsed.
            gc.freeze()
            if self._url is None:
                log.info("worker.ready", worker=os.getpid(), version=__version__)
            else:
                log.info("server.ready", url=self._url, version=__version__)
                notify_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests in flight and stop."""
        log.info("server.stopping")
        self._on_stop()
        await super().shutdown(sockets)
        log.info("server.stopped")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and remember whether it was interrupted by SIGINT."""
        self._is_interrupted = self._is_interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals during the block.

        Unlike uvicorn it does not raise the signal again after the stop: a service that was stopped in
        order exits with 0.
        """
        before = {sig: signal.signal(sig, self.handle_exit) for sig in _SIGNALS}
        if self._on_reload is not None and hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._start_reload, self._on_reload)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _start_reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    @property
    def exit_code(self) -> int:
        """The exit code of `relay serve`."""
        if not self.started:
            return 1
        return _EXIT_INTERRUPTED if self._is_interrupted else 0
