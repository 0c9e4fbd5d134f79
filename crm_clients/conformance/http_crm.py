"""A fake CRM with an HTTP server on this machine, which injects all faults."""

import json
import socket
import struct
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

from crm_clients.conformance.crm import Crm, Fault

RETRY_AFTER_SECONDS: Final = 7
"""The value of `Retry-After` in responses to injected faults."""

_ENDLESS_BLOCK: Final = b" " * 65_536
_ENDLESS_BLOCKS: Final = 1024

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Request(msgspec.Struct, frozen=True):
    """One request. `path` includes the query; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded as JSON."""
        return json.loads(self.body)


class Response(msgspec.Struct, frozen=True):
    """One response. The type of `body` decides: bytes are sent unchanged, a str as HTML, None as an empty
    body, anything else as JSON.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}

    @property
    def content(self) -> tuple[str, bytes]:
        """The media type and the encoded body."""
        match self.body:
            case None:
                return "text/plain", b""
            case bytes():
                return "application/octet-stream", self.body
            case str():
                return "text/html", self.body.encode()
            case _:
                return "application/json", json.dumps(self.body).encode()


class HttpCrm(Crm):
    """A CRM behind a server at `url`. Subclasses implement `respond`; `requests` lists all requests.

    Responses to faults repeat the request with its headers, as some servers do: a client must not
    return that text.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.rejected: set[str] = set()
        self._write_times: list[float] = []
        self._fault: Fault | None = None
        self._fault_ended = threading.Event()
        self._lock = threading.Lock()
        self._server = self._start(0)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Process a request. It is called for one request at a time."""

    def is_write(self, request: Request) -> bool:
        """Whether a request writes. Override it if the CRM has read requests with other methods."""
        return request.method not in _READING_METHODS

    def rejection(self, request: Request) -> Response | None:
        """Return the response to a request that contains a rejected record, or None."""
        bad = any(json.dumps(call_id)[1:-1].encode() in request.body for call_id in self.rejected)
        return Response(422, {"message": f"invalid: {request.body.decode()}"}) if bad else None

    def fault_response(self, fault: Fault, request: Request) -> Response:
        """Return the response to a request during a fault that has one."""
        status, headers = _FAULT_RESPONSES[fault]
        if fault is Fault.HTML_PAGE:
            return Response(status, "<html><body>Welcome to the Wi-Fi</body></html>")
        repeated = {"path": request.path, "headers": dict(request.headers)}
        return Response(status, {"message": fault.value, "request": repeated}, headers)

    def write_times(self) -> list[float]:
        """Implement `Crm.write_times`."""
        return list(self._write_times)

    @contextmanager
    def reject(self, call_id: str) -> Iterator[None]:
        """Reject every request that contains this id."""
        self.rejected.add(call_id)
        try:
            yield
        finally:
            self.rejected.discard(call_id)

    @contextmanager
    def inject(self, fault: Fault) -> Iterator[None]:
        """Implement `Crm.inject`."""
        self._fault_ended.clear()
        self._fault = fault
        if fault is Fault.DOWN:
            self._server.stop()
        try:
            yield
        finally:
            self._fault = None
            self._fault_ended.set()
            if fault is Fault.DOWN:
                self._server = self._start(self._server.server_port)

    def close(self) -> None:
        """Stop the server."""
        self._fault_ended.set()
        self._server.stop()

    def _start(self, port: int) -> "_Server":
        return _Server(port, self._handle, self._count_endless_answer)

    def _count_endless_answer(self) -> None:
        with self._lock:
            self.endless_answers_read += 1

    def _handle(self, request: Request) -> Response | Fault:
        """Return the response, or the fault that replaces it."""
        fault = self._fault
        with self._lock:
            self.requests.append(request)
            if self.is_write(request):
                self._write_times.append(time.monotonic())
            if fault in _FAULT_RESPONSES:
                return self.fault_response(fault, request)
            if fault in {None, Fault.CLOSED_AFTER_WRITE, Fault.ENDLESS_ANSWER}:
                response = self.rejection(request) or self.respond(request)
                return fault or response
        if fault is Fault.HANGING:
            self._fault_ended.wait()
        return Fault.CLOSED_BEFORE_WRITE


_FAULT_RESPONSES: Final[dict[Fault, tuple[int, dict[str, str]]]] = {
    Fault.UNAUTHORISED: (401, {}),
    Fault.THROTTLED: (429, {"Retry-After": str(RETRY_AFTER_SECONDS)}),
    Fault.THROTTLED_WITHOUT_RETRY_AFTER: (429, {}),
    Fault.SERVER_ERROR: (500, {}),
    Fault.UNAVAILABLE: (503, {"Retry-After": str(RETRY_AFTER_SECONDS)}),
    Fault.HTML_PAGE: (200, {}),
    Fault.MISCONFIGURED: (404, {}),
}


class _Server(ThreadingHTTPServer):
    """Starts when it is created. `stop` closes every connection."""

    daemon_threads = False

    def __init__(
        self, port: int, handle: Callable[[Request], Response | Fault], read_endless: Callable[[], None]
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.handle = handle
        self.read_endless = read_endless
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="conformance-crm")
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per response: several would each wait 40 ms for an acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):  # the client may have disconnected
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        result = self.server.handle(Request(self.command, self.path, headers, body))
        if isinstance(result, Response):
            self._send(result)
        elif result is Fault.ENDLESS_ANSWER:
            self._send_endless()
        else:
            self._close_without_response(result)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the library's

    def _send(self, response: Response) -> None:
        media_type, content = response.content
        self.send_response(response.status)
        headers = {"Content-Type": media_type, "Content-Length": str(len(content)), **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_endless(self) -> None:
        """Send blanks until the client disconnects; end after 64 MiB, so that every test ends."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for _ in range(_ENDLESS_BLOCKS):
            self.wfile.write(_ENDLESS_BLOCK)
        self.server.read_endless()

    def _close_without_response(self, fault: Fault) -> None:
        """Reset the connection, or close it as a server that ends during its work."""
        self.close_connection = True
        if fault is Fault.CLOSED_BEFORE_WRITE:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.rfile.close()
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
