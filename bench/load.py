"""A cheap load generator: prepared HTTP/1.1 requests over kept-alive connections, without pipelining.

It uses the same machine as the server, so its own cost lowers every rate.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any, Final, TypeVar, cast

import httpx
import msgspec

from bench.result import BenchError
from bench.server import Server
from relay.server.server import new_event_loop
from relay.simulator import Message, RequestBuilder, SimulatedCall, generate_calls

T = TypeVar("T")

WEBHOOK_PATH: Final = b"/cloudtalk/webhook"
SIGNING_SECRET: Final = "whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms="  # noqa: S105 - of the benchmark only
_TIMEOUT_SECONDS: Final = 120.0
_CONTENT_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_JSON: Final = {b"Content-Type": b"application/json"}
_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = b"HTTP/1.1 200 "


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the same kind of event loop as the relay's."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


# --- requests -----------------------------------------------------------------------------------


def generate_calls_now(count: int, *, dialect: str = "mission", seed: int = 7) -> list[SimulatedCall]:
    """Generate calls that start now; apart from their times they are the same in each run.

    Calls of different seeds have different ids.
    """
    return generate_calls(count, seed, datetime.now(UTC), dialect=dialect)


def build_requests(calls: Iterable[SimulatedCall]) -> list[list[bytes]]:
    """Build the requests of each call, in their order. Those of the signed dialect are signed now."""
    url = httpx.URL(f"http://localhost{WEBHOOK_PATH.decode()}")
    builder = RequestBuilder(url, None, SIGNING_SECRET)
    return [[_build_request(builder, message) for message in call.messages] for call in calls]


def _build_request(builder: RequestBuilder, message: Message) -> bytes:
    url, headers, content = builder.build(message)
    return build_request(content, url.raw_path, headers)


def build_request(
    content: bytes, path: bytes = WEBHOOK_PATH, headers: Mapping[bytes, bytes] = _JSON
) -> bytes:
    """Build the bytes of a whole request that posts this content."""
    fields = {b"Host": b"localhost", b"Content-Length": str(len(content)).encode(), **headers}
    lines = [b"POST %s HTTP/1.1" % path, *(b"%s: %s" % field for field in fields.items()), b"", b""]
    return b"\r\n".join(lines) + content


def for_seconds(seconds: float, sequences: Iterable[Sequence[bytes]]) -> Iterator[Sequence[bytes]]:
    """Yield sequences until the time is over, counted from the first one."""
    deadline = math.inf
    for sequence in sequences:
        now = time.perf_counter()
        deadline = min(deadline, now + seconds)
        if now >= deadline:
            return
        yield sequence


# --- sending ------------------------------------------------------------------------------------


class Sent(msgspec.Struct, frozen=True):
    """What was sent and acknowledged: calls, the time in all, and the latency of each response."""

    calls: int
    seconds: float
    latencies: list[float]

    @property
    def requests(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Acknowledged requests per second."""
        return self.requests / self.seconds

    def latency_ms(self, percent: int) -> float:
        """Return this percentile of the latencies in milliseconds."""
        return percentile_ms(self.latencies, percent)


def percentile_ms(seconds: Sequence[float], percent: int) -> float:
    """Return this percentile of times in seconds, in milliseconds."""
    return 1000 * quantiles(seconds, n=100, method="inclusive")[percent - 1]


OnSend = Callable[[bytes, float], None]
"""Called with each request and the time of `perf_counter` at which it was sent.

A request at a steady rate that waited for an earlier response counts from the time when it was due.
"""


class _Load:
    """What the connections of one run share: the sequences that are left, the rate, what was measured."""

    def __init__(
        self, sequences: Iterable[Sequence[bytes]], rate: float | None, on_send: OnSend | None
    ) -> None:
        self._sequences = iter(sequences)
        self._interval = 0.0 if rate is None else 1 / rate
        self._started_at = self._ended_at = self._next_send_at = 0.0
        self.on_send = on_send
        self.calls = 0
        self.latencies: list[float] = []

    def start(self) -> None:
        self._started_at = self._next_send_at = time.perf_counter()

    def add_response(self, sent_at: float) -> None:
        self._ended_at = time.perf_counter()
        self.latencies.append(self._ended_at - sent_at)

    def seconds(self) -> float:
        """Return the time from the start to the last response."""
        return self._ended_at - self._started_at

    def next_sequence(self) -> Iterator[bytes] | None:
        sequence = next(self._sequences, None)
        if sequence is None:
            return None
        self.calls += 1
        return iter(sequence)

    def reserve(self) -> float | None:
        """Return the time at which the next request is due; None without a rate."""
        if not self._interval:
            return None
        due, self._next_send_at = self._next_send_at, self._next_send_at + self._interval
        return due


class _Connection(asyncio.Protocol):
    """Sends sequence after sequence, each request after the response to the one before.

    `done`: when the connection is closed, after the last response or an error.
    """

    def __init__(self, load: _Load) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._sequence: Iterator[bytes] | None = iter(())
        self._response = b""
        self._sent_at = 0.0
        self._is_finished = False
        self._error: BenchError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def start(self) -> None:
        self._send_next()

    def data_received(self, data: bytes) -> None:
        self._response += data
        head_end = self._response.find(_HEAD_END)
        if head_end < 0:
            return
        length = _CONTENT_LENGTH.search(self._response, 0, head_end)
        if len(self._response) < head_end + len(_HEAD_END) + (int(length[1]) if length else 0):
            return
        if self._response.startswith(_OK):
            self._load.add_response(self._sent_at)
            self._response = b""
            self._send_next()
        else:
            self._error = BenchError(f"the server answered {self._response!r}")
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._is_finished and self._error is None:
            self._error = BenchError("the server closed a connection")
        if self._error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self._error)

    def _send_next(self) -> None:
        while self._sequence is not None:
            request = next(self._sequence, None)
            if request is not None:
                self._send_when_due(request, self._load.reserve())
                return
            self._sequence = self._load.next_sequence()
        self._is_finished = True
        self._transport.close()

    def _send_when_due(self, request: bytes, due: float | None) -> None:
        delay = 0.0 if due is None else due - time.perf_counter()
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._send, request, None)
        else:
            self._send(request, due)

    def _send(self, request: bytes, due: float | None) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(request)
        if self._load.on_send is not None:
            self._load.on_send(request, self._sent_at if due is None else due)


async def send(
    servers: Sequence[Server],
    sequences: Iterable[Sequence[bytes]],
    *,
    connections: int,
    rate: float | None = None,
    on_send: OnSend | None = None,
) -> Sent:
    """Send every request, those of one sequence in order over one connection.

    `rate`: requests per second over all connections; None: as fast as possible. The connections are spread
    evenly over the servers. Raises `BenchError` for any response but 200.
    """
    loop, load = asyncio.get_running_loop(), _Load(sequences, rate, on_send)
    opened = []
    for index in range(connections):
        server = servers[index % len(servers)]
        _, connection = await loop.create_connection(lambda: _Connection(load), server.host, server.port)
        opened.append(connection)
    load.start()
    for connection in opened:
        connection.start()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await asyncio.gather(*(connection.done for connection in opened))
    except TimeoutError:
        raise BenchError(f"the load took more than {_TIMEOUT_SECONDS:g} s") from None
    return Sent(load.calls, load.seconds(), load.latencies)
