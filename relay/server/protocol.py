"""HTTP on one connection: uvicorn's protocol, with limits for what comes before and around a body.

uvicorn collects a request head of any size for any time, and has no limit for connections that wait. Limits
of bodies are in `relay.ingest`.
"""

import asyncio
from typing import Any, Final
from urllib.parse import unquote

import httptools

from relay.server.exchange import Exchange
from relay.server.rejections import MAX_HEAD_BYTES, MAX_HEADERS, RESPONSES, Rejected, Rejection
from relay.server.request_heads import head_size, pieces, with_host_of_target, without_upgrade
from relay.server.timed_connection import TimedConnection

MAX_PIPELINED: Final = 64
"""The limit of requests that wait on one connection for the response of an earlier one."""

_PIECE_BYTES: Final = 16 * 1024
"""What is received at once is parsed in pieces of this size, so that the limits hold within it too."""


class BoundedProtocol(TimedConnection):
    """uvicorn's protocol with limits of size and time.

    Two flows change a connection. Neither waits for the other: a response may end before its request, and the
    next request may arrive before the response.

    - Received: head (`on_message_begin` to `on_headers_complete`), body (`_is_in_body`, to
      `on_message_complete`), then the next head.
    - Sent: from `on_headers_complete` to `on_response_complete` there is a request whose response is not
      complete (`_has_request`). Requests that arrive in this time wait in `pipeline`.

    A connection without request, head and body is idle since `_idle_since`; the later of the two flows sets
    it. A timer runs for a head, and for a body whose response was sent. `_reject` ends both flows for good.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.headers = []
        # What arrived since the last progress, which is the end of a head, a part of a body or its end. More
        # than 0: a head or the surroundings of a body have begun and are not complete.
        self._unfinished_bytes = 0
        self._has_request = False
        self._is_in_body = False
        self._is_upgrade = False  # the head asks for another protocol, and is parsed again without that

    # --- receive --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, within the limits."""
        if len(data) <= _PIECE_BYTES:
            self._parse(data)
            return
        for piece in pieces(data, _PIECE_BYTES):
            self._parse(piece)

    def _parse(self, data: bytes | memoryview) -> None:
        if self._is_rejected:
            return
        self._idle_since = None
        self._unfinished_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._reject(cause.reason if isinstance(cause, Rejected) else Rejection.MALFORMED)
        else:
            if self._unfinished_bytes:
                self._check_unfinished()

    def _parse_without_upgrade(self, rest: bytes | memoryview) -> None:
        """Parse the head again without its Upgrade header, then the rest.

        After a head that asks for another protocol the parser expects that protocol instead of a body, so
        the event would be lost. Java's HTTP client asks for HTTP/2 in this way.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        head = without_upgrade(method, self.url, version, self.headers)
        self._unfinished_bytes = 0
        self._is_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._parse(head)
        self._parse(rest)

    def _check_unfinished(self) -> None:
        if self._unfinished_bytes > MAX_HEAD_BYTES or (
            not self._is_in_body and len(self.headers) > MAX_HEADERS
        ):
            self._reject(Rejection.TOO_LARGE)
        elif not self._is_in_body:
            self._start_timer()
            if not self._has_request:
                self._connections.set_unfinished(self)

    # --- callbacks of the parser ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._idle_since = None  # the end of an earlier body in the same piece may have set it
        # The end of an earlier request may have been in the same piece: it set the number to 0.
        self._unfinished_bytes = self._unfinished_bytes or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request, if its head is within the limits.

        Replaces uvicorn's method, without access log and `limit_concurrency`: compare both when uvicorn is
        updated.
        """
        if len(self.headers) > MAX_HEADERS or (
            # Most heads are too small to be counted.
            self._unfinished_bytes > MAX_HEAD_BYTES - _PIECE_BYTES
            and head_size(self.url, self.headers) > MAX_HEAD_BYTES
        ):
            raise Rejected(Rejection.TOO_LARGE)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Rejected(Rejection.TOO_MANY)
        if self.parser.should_upgrade():
            if not any(name == b"upgrade" for name, _ in self.headers):  # CONNECT asks for a tunnel
                raise Rejected(Rejection.MALFORMED)
            self._is_upgrade = True
            return
        if not self.url.startswith(b"/"):
            self.headers[:] = with_host_of_target(self.url, self.headers)
        self._unfinished_bytes = 0
        self._stop_timer()
        self._connections.set_busy(self)
        self._start_exchange()
        self._is_in_body = True
        self._has_request = True
        self.headers = []  # trailers are no headers of the request: they came after its authentication

    def _start_exchange(self) -> None:
        """Pass the request to the application, after the requests that came before on this connection.

        Raises an error of the parser if the target is no URL.
        """
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        version = self.parser.get_http_version()
        self.scope["http_version"] = version
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        self.scope["raw_path"] = self.root_path.encode("ascii") + target.path
        self.scope["query_string"] = target.query or b""
        self.cycle = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=not self._is_stopping and version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if self._has_request:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        """Add to the body of the request."""
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body of the request."""
        if self._is_upgrade:  # the head is parsed again
            return
        self._unfinished_bytes = 0
        self._is_in_body = False
        if not self._has_request:  # the response was sent before the end of the body
            self._stop_timer()
            self._idle_since = self.loop.time()
        super().on_message_complete()

    # --- respond --------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Start the request that came next, or wait for one, for a limited time.

        Replaces uvicorn's method, without `total_requests`: compare both when uvicorn is updated.
        """
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
        self._has_request = False
        self._connections.set_idle(self)
        if self._is_in_body:
            self._start_timer()
        elif not self._unfinished_bytes:
            self._idle_since = self.loop.time()

    def _reject(self, reason: Rejection) -> None:
        """Close the connection with an error, after the responses of requests that came before."""
        self._is_rejected = True
        self._stop_timer()
        self._connections.count(reason)
        if self._has_request and not self._is_in_body:
            self.cycle.keep_alive = False
        elif self.pipeline or (self._is_in_body and (not self._has_request or self.cycle.response_started)):
            self.abort()  # what is sent now would be read as a part of another response
        elif not self.transport.is_closing():
            self._disconnect_request()
            self._send_and_linger(RESPONSES[reason])

    def _disconnect_request(self) -> None:
        """Let the application know that the rest of the body will not arrive."""
        if self._has_request:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
