"""One request and its response: uvicorn's, but a response that has a single body is written at once.

uvicorn writes the head and the body of a response one after the other, each with a system call, and checks
each of its headers by regular expressions.
"""

import asyncio
from typing import Final, cast

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
)
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

REPLACES_HEADERS: Final = "relay.replaces_headers"
"""A key of the message `http.response.start`: the headers of the response replace those that the server adds
to each response. A browser would obey both of two Content-Security-Policy headers."""

_CONTROL_CHARACTERS: Final = bytes({*range(0x20), 0x7F} - {ord("\t")})
"""What no header may have (RFC 9110, 5.5): some clients and proxies end a line at one of them."""


class Exchange(RequestResponseCycle):
    """A request, as the ASGI application receives it, and its response. uvicorn sends a response in parts."""

    _start: HTTPResponseStartEvent | None = None

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application. At a stop the server cancels responses that are not over in time, as that of
        a slow player: the connection is closed, which the client notices. That is no error.
        """

        async def run(scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if not self.response_started:
                    raise
                self.disconnected = True
                self.transport.close()

        await super().run_asgi(cast("ASGI3Application", run))

    async def send(self, message: ASGISendEvent) -> None:
        """Keep the head of the response until its body is known. Raises `RuntimeError` for wrong messages.

        Replaces uvicorn's method for a response with a single body, without access log: compare both when
        uvicorn is updated.
        """
        if message["type"] == "http.response.start" and not self.response_started:
            self._start = message
            if REPLACES_HEADERS in message:
                own = {name.lower() for name, _ in message.get("headers", ())}
                self.default_headers = [h for h in self.default_headers if h[0].lower() not in own]
            return
        start, self._start = self._start, None
        if start is None:
            if self.transport.is_closing() and not self.disconnected:
                # uvicorn notes it for the last request of a connection alone, not for those before it.
                self.disconnected = True
                self.message_event.set()
            await super().send(message)
        elif self.scope["method"] == "HEAD" or message.get("more_body"):
            await super().send(start)
            await super().send(message)
        else:
            await self._send_whole(start, cast("HTTPResponseBodyEvent", message).get("body", b""))

    async def _send_whole(self, start: HTTPResponseStartEvent, body: bytes) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._write(start, body)

    def _write(self, start: HTTPResponseStartEvent, body: bytes) -> None:
        head = self._encode_head(start, len(body))
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _encode_head(self, start: HTTPResponseStartEvent, length: int) -> bytes:
        lines = [b"%b: %b" % header for header in self.default_headers]
        for written_name, value in start.get("headers", ()):
            name = written_name.lower()
            if name == b"connection":
                self.keep_alive = self.keep_alive and value.lower() != b"close"
            elif name != b"content-length":
                lines.append(b"%b: %b" % (name, value))
        if not self.keep_alive:
            lines.append(b"connection: close")
        lines += (b"content-length: %d" % length, b"", b"")
        head = STATUS_LINE[start["status"]] + b"\r\n".join(lines)
        # Each line break of the head is two of these characters: the status line has its own, and the lines
        # have one between two of them.
        if len(head) - len(head.translate(None, _CONTROL_CHARACTERS)) != len(b"\r\n") * len(lines):
            raise RuntimeError("a header of a response has a control character")
        return head
