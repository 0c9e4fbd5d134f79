"""A CRM that is spoken to over HTTP: a server on this machine that can do to a client what servers do."""

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

AFTER: Final = 7
"""Seconds that the server asks for in `Retry-After`."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Request(msgspec.Struct, frozen=True):
    """One request; `path` with its query, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Response(msgspec.Struct, frozen=True):
    """What is answered: bytes as they are, text as a page of HTML, None as nothing, the rest as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}

    @property
    def content(self) -> tuple[str, bytes]:
        """The media type and the bytes."""
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
    """A server at `url`. Its author says what it answers; `requests` holds all that came.

    An error repeats what was sent, headers included, as servers do: a client must not pass that on.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused: set[str] = set()
        self._writes: list[float] = []
        self._fault: Fault | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(0, self._take)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Do what is asked, and answer. Requests come one at a time."""

    def is_write(self, request: Request) -> bool:
        """Whether a request writes. Say so where a search is a POST too."""
        return request.method not in _READING

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that bears a record which is refused."""
        bad = any(json.dumps(call)[1:-1].encode() in request.body for call in self.refused)
        return Response(422, {"message": f"invalid: {request.body.decode()}"}) if bad else None

    def error(self, fault: Fault, request: Request) -> Response:
        """How the server words a fault."""
        status, headers = _ERRORS[fault]
        if fault is Fault.GARBAGE:
            return Response(status, "<html><body>Welcome to the Wi-Fi</body></html>")
        sent = {"path": request.path, "headers": dict(request.headers)}
        return Response(status, {"message": fault.value, "request": sent}, headers)

    def writes(self) -> list[float]:
        """When each writing request came."""
        return list(self._writes)

    @contextmanager
    def refusing(self, call_id: str) -> Iterator[None]:
        """Refuse what bears this call's id."""
        self.refused.add(call_id)
        try:
            yield
        finally:
            self.refused.discard(call_id)

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Fail so, for as long."""
        self._over.clear()
        self._fault = fault
        if fault is Fault.DOWN:
            self._server.stop()
        try:
            yield
        finally:
            self._fault = None
            self._over.set()
            if fault is Fault.DOWN:
                self._server = _Server(self._server.server_port, self._take)

    def close(self) -> None:
        """Stop listening."""
        self._over.set()
        self._server.stop()

    def _take(self, request: Request) -> Response | Fault:
        fault = self._fault
        with self._lock:
            self.requests.append(request)
            if self.is_write(request):
                self._writes.append(time.monotonic())
            if fault in _ERRORS:
                return self.error(fault, request)
            if fault in {None, Fault.CUT}:
                answer = self.refusal(request) or self.answer(request)
                return fault or answer
        if fault is Fault.SLOW:
            self._over.wait()
        return Fault.RESET


_ERRORS: Final[dict[Fault, tuple[int, dict[str, str]]]] = {
    Fault.UNAUTHORISED: (401, {}),
    Fault.THROTTLED: (429, {"Retry-After": str(AFTER)}),
    Fault.THROTTLED_WITHOUT_WORD: (429, {}),
    Fault.FAILING: (500, {}),
    Fault.UNAVAILABLE: (503, {"Retry-After": str(AFTER)}),
    Fault.GARBAGE: (200, {}),
    Fault.MISCONFIGURED: (404, {}),
}


class _Server(ThreadingHTTPServer):
    """Serves from its making until `stop`, which breaks every connection."""

    daemon_threads = False

    def __init__(self, port: int, take: Callable[[Request], Response | Fault]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.take = take
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
    wbufsize = -1  # in one piece: else each answer waits 40 ms for an acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):  # the other end may be gone
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.take(Request(self.command, self.path, headers, body))
        if isinstance(answer, Response):
            self._answer(answer)
        else:
            self._break(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the library's

    def _answer(self, answer: Response) -> None:
        kind, content = answer.content
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _break(self, fault: Fault) -> None:
        """With a reset, or as a server that ends in the midst of its work: without a word."""
        self.close_connection = True
        if fault is Fault.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.rfile.close()
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
