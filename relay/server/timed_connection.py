"""The life of one connection: it is counted, and closed if its client is idle or too slow."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.server.connections import Connections
from relay.server.rejections import RESPONSES, Rejection

_HEAD_SECONDS: Final = 10.0
"""How long a request head may take, and the rest of a body that was answered before its end."""

_WRITE_SECONDS: Final = 30.0
"""How long a client may take until it reads more of a response."""

_REST_OF_REQUEST_SECONDS: Final = 0.5
"""How long a request that has not arrived whole, or not at all on a new connection, may take when the server
stops."""

_LINGER_SECONDS: Final = 2.0
"""How long a client may read the reason before its connection is closed. If data that nobody read was left
in the socket, the system would discard the response."""


class TimedConnection(HttpToolsProtocol, ABC):
    """uvicorn's protocol with limits of time. `connections` limits the number of connections.

    The subclass reads requests. It states since when the connection waits for one (`_idle_since`), and starts
    and stops the timer of what must arrive soon.
    """

    def __init__(
        self, connections: Connections, *arguments: Any, head_seconds: float = _HEAD_SECONDS, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._connections = connections
        self._head_seconds = head_seconds
        self._is_rejected = False  # what else arrives is dropped
        self._is_stopping = False  # the next response is the last one
        # When the connection began to wait for a request; None while it has one, or a part of one.
        self._idle_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def shutdown(self) -> None:
        """Answer the request that has begun or is on its way, and close the connection then.

        The data of a client that has just connected may not have arrived yet. The server waits for the
        connections that are still open, for a limited time.
        """
        self._is_stopping = True
        is_between_requests = self._has_had_request and self._idle_since is not None
        if self._is_responding or is_between_requests:
            super().shutdown()
        else:
            self.loop.call_later(_REST_OF_REQUEST_SECONDS, self._close_unless_responding)

    def _close_unless_responding(self) -> None:
        if not self._is_responding:
            self.transport.close()

    @property
    def _is_responding(self) -> bool:
        return self._has_had_request and not self.cycle.response_complete

    @property
    def _has_had_request(self) -> bool:
        return bool(self.cycle)  # None before the first one

    @abstractmethod
    def _reject(self, reason: Rejection) -> None:
        """Close the connection with an error, after the responses of requests that came before."""

    # --- begin and end --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, if need be in place of one that waits."""
        super().connection_made(transport)
        if self._connections.add(self):
            self._idle_since = self.loop.time()
            self._close_if_idle()
            return
        self._is_rejected = True
        self._connections.count(Rejection.NO_CAPACITY)
        transport.write(RESPONSES[Rejection.NO_CAPACITY])
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._connections.remove(self)
        self._stop_timer()
        self.resume_writing()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _send_and_linger(self, response: bytes) -> None:
        self.transport.write(response)
        self.transport.write_eof()
        self._connections.set_idle(self)
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.abort)

    # --- a client that reads too slowly ---------------------------------------------------------

    def pause_writing(self) -> None:
        """Give the client a limited time to read: its request is in progress until then."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.abort)

    def resume_writing(self) -> None:
        """End the time limit of `pause_writing`."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # --- a client that sends nothing, or too slowly ---------------------------------------------

    def _close_if_idle(self) -> None:
        """Close the connection if it waits for too long, else check again when it may.

        A timer for each request would cost more.
        """
        now = self.loop.time()
        idle_since = now if self._idle_since is None else self._idle_since
        left = idle_since + self.timeout_keep_alive - now
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self._close_if_idle)
        else:
            self.transport.close()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._head_seconds, self._reject, Rejection.TOO_SLOW)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
