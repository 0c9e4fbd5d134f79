"""A simulated CloudTalk under load: sends calls to relays, each message until it is acknowledged.

Each acknowledged event is written to a file and flushed at once. The audit reads that file and does not
trust what a relay reports.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Final

import msgspec

from relay.server.server import new_event_loop
from relay.simulator import Message, SimulatedCall, generate_calls
from tests.support.relay import WEBHOOK_PATH

DIALECTS: Final = ("mission", "workflow", "mixed")
"""The dialects in which every message names its call, so that each expected record is known."""

_CALLS_AT_ONCE: Final = 24
_GENERATED_AT_ONCE: Final = 500
_MESSAGES_PER_CALL: Final = 5
"""Approximately."""

_RESPONSE_SECONDS: Final = 7.0
"""Longer than the relay holds a request while its ledger is unavailable."""

_RETRY_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 30.0
_EJECTED_SECONDS: Final = 2.5
"""How long a relay that did not respond gets no requests, as from a load balancer."""

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class SentCall(msgspec.Struct):
    """A call of which all messages were acknowledged.

    `order_uncertain`: a relay did not respond to one of the requests in time. It may have been frozen and
    have stored that message after later ones.
    """

    call: SimulatedCall
    order_uncertain: bool = False


class Backend:
    """One relay as a load balancer sees it. After a failure it gets one request per `_EJECTED_SECONDS`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._ejected_until: float | None = None

    def admit(self) -> bool:
        """Return whether a request may be sent now; after a failure, only one at a time may be."""
        if self._ejected_until is None:
            return True
        admitted = self._ejected_until < time.monotonic()
        if admitted:
            self.eject()
        return admitted

    def eject(self) -> None:
        self._ejected_until = time.monotonic() + _EJECTED_SECONDS

    def restore(self) -> None:
        self._ejected_until = None


class Load(threading.Thread):
    """Sends calls from `start` until `stop`, in turn to the relays on these ports of this machine.

    `rate`: messages per second over all relays; messages that are late after a downtime are caught up.
    `response_seconds`: the time limit of a request.
    """

    def __init__(
        self,
        ports: Sequence[int],
        acknowledged_file: Path,
        *,
        rate: float,
        seed: int,
        response_seconds: float = _RESPONSE_SECONDS,
    ) -> None:
        super().__init__(daemon=True, name="load")
        self._backends = [Backend(port) for port in ports]
        self._next_backend = cycle(self._backends)
        self._interval = 1 / rate
        self._response_seconds = response_seconds
        self.acknowledged_file = acknowledged_file
        self._calls = _generate_all(seed, rate)
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = threading.Event()
        self._waiting = 0
        self.sent_calls: list[SentCall] = []
        self.messages: list[Message] = []
        """The acknowledged messages, in the order of their acknowledgements."""
        self.requests = self.acknowledged = 0
        self.seconds = 0.0

    def abort(self) -> None:
        """End at once, unless the load has already stopped."""
        self._stopped.set()
        if self._loop is not None and self._task is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self.join(10)

    def stop(self, seconds: float = 60.0) -> None:
        """Begin no more calls, and wait until every message of the calls under way is acknowledged."""
        self._stopped.set()
        self.join(seconds)
        if self._failure is not None:
            raise self._failure
        assert not self.is_alive(), f"calls under way were not acknowledged within {seconds} s"

    def run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            try:
                runner.run(self._send_all())
            except BaseException as error:  # noqa: BLE001 - `stop` raises it
                self._failure = error

    async def _send_all(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        began = self._next_send_at = time.perf_counter()
        with self.acknowledged_file.open("ab") as self._file:
            async with asyncio.TaskGroup() as senders:
                for _ in range(_CALLS_AT_ONCE):
                    senders.create_task(self._send_calls())
        self.seconds = time.perf_counter() - began

    async def _send_calls(self) -> None:
        connections: dict[int, Connection] = {}
        while not self._stopped.is_set():
            sent = SentCall(next(self._calls))
            for message in sent.call.messages:
                await self._wait_for_rate()
                await self._send_until_acknowledged(message, sent, connections)
            self.sent_calls.append(sent)
        for connection in connections.values():
            connection.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing during the block, which begins when all sent messages are acknowledged."""
        self._paused.set()
        try:
            deadline = time.monotonic() + _PAUSE_SECONDS
            while self._waiting < _CALLS_AT_ONCE:
                assert time.monotonic() < deadline, "messages on their way were not acknowledged"
                time.sleep(_RETRY_SECONDS)
            yield
        finally:
            self._paused.clear()

    async def _wait_for_rate(self) -> None:
        self._waiting += 1
        while self._paused.is_set():
            await asyncio.sleep(_RETRY_SECONDS)
        self._waiting -= 1
        send_at, self._next_send_at = self._next_send_at, self._next_send_at + self._interval
        await asyncio.sleep(max(0.0, send_at - time.perf_counter()))

    async def _send_until_acknowledged(
        self, message: Message, sent: SentCall, connections: dict[int, "Connection"]
    ) -> None:
        while True:
            backend = self._choose_backend()
            status = 0
            self.requests += 1
            try:
                async with asyncio.timeout(self._response_seconds):
                    if backend.port not in connections:
                        connections[backend.port] = await Connection.open(backend.port)
                    status = await connections[backend.port].post(message)
                backend.restore()
            except (OSError, asyncio.IncompleteReadError) as error:  # a timeout is an OSError
                sent.order_uncertain |= isinstance(error, TimeoutError)
                backend.eject()
                if connection := connections.pop(backend.port, None):
                    connection.close()
            if status == 200:
                self._record_acknowledged(message)
                return
            assert status in {0, 503}, f"{status} for {message}"
            await asyncio.sleep(_RETRY_SECONDS)

    def _choose_backend(self) -> Backend:
        """Return the next relay in turn that admits a request; if none does, the next one."""
        for _ in self._backends[1:]:
            backend = next(self._next_backend)
            if backend.admit():
                return backend
        return next(self._next_backend)

    def _record_acknowledged(self, message: Message) -> None:
        self._file.write(event_key(message) + b"\n")
        self._file.flush()
        self.messages.append(message)
        self.acknowledged += 1


class Connection:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, message: Message) -> int:
        """Send a message and return the status of the response."""
        body = msgspec.json.encode(message.body)
        query = f"?{message.query}" if message.query else ""
        head = f"POST {WEBHOOK_PATH}{message.path}{query} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        response_head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(response_head)
        await self._reader.readexactly(int(length[1]) if length else 0)
        return int(response_head.split(b" ", 2)[1])

    def close(self) -> None:
        with suppress(OSError):
            self._writer.transport.abort()


def event_key(message: Message) -> bytes:
    """Format a message as it is stored in the ledger: path, query and body, on one line."""
    return b"%s%s %s %s" % (
        WEBHOOK_PATH.encode(),
        message.path.encode(),
        message.query.encode(),
        msgspec.json.encode(message.body),
    )


def _generate_all(seed: int, rate: float) -> Iterator[SimulatedCall]:
    """Generate calls without end, of each dialect in turn, that begin about when they are sent."""
    spacing = timedelta(seconds=len(DIALECTS) * _MESSAGES_PER_CALL / rate)
    generators = [_generate(dialect, seed, spacing) for dialect in DIALECTS]
    while True:
        yield from map(next, generators)


def _generate(dialect: str, seed: int, spacing: timedelta) -> Iterator[SimulatedCall]:
    for round_ in count():
        # Each round needs a seed of its own: with the same seed the same calls would be generated.
        round_seed = seed * 1_000 + round_
        yield from generate_calls(
            _GENERATED_AT_ONCE, round_seed, datetime.now(UTC), spacing=spacing, dialect=dialect
        )
