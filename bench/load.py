"""A cheap load generator: prepared HTTP/1.1 requests over a few raw connections.

It uses the same machine as the relay, so its own cost is part of every figure.
"""

import asyncio
import re
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from bench.result import BenchError
from bench.server import Server
from relay.server.server import new_event_loop
from relay.simulator import SimulatedCall, generate_calls
from relay.simulator.demo import find_differences

T = TypeVar("T")

_WEBHOOK_PATH: Final = "/cloudtalk/webhook"
_SEED: Final = 7
_TIMEOUT_SECONDS: Final = 30.0
_CONTENT_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the same kind of event loop as the relay's."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def generate_calls_now(count: int) -> list[SimulatedCall]:
    """Generate calls that start now; apart from their times they are the same in each run."""
    return generate_calls(count, _SEED, datetime.now(UTC))


def check_delivered(server: Server, calls: Sequence[SimulatedCall]) -> None:
    """Raises `BenchError` if the CRM's records are wrong: a fast relay must also be correct."""
    differences = find_differences([call.expected for call in calls], server.read_crm_rows())
    if differences:
        raise BenchError(f"{len(differences)} of {len(calls)} records are wrong: {differences[:1]}")


def build_request(body: dict[str, Any]) -> bytes:
    """Build the bytes of a whole request that posts this body."""
    content = msgspec.json.encode(body)
    head = f"POST {_WEBHOOK_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Connection:
    """One kept-alive connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, server: Server) -> "Connection":
        return cls(*await asyncio.open_connection(server.host, server.port))

    async def post(self, request: bytes) -> None:
        """Send one request and read its response. Raises `BenchError` unless its status is 200."""
        self._writer.write(request)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _CONTENT_LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the relay answered {head.splitlines()[0]!r}: {body!r}")

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def send(server: Server, calls: Iterable[SimulatedCall], *, connections: int) -> float:
    """Send every event as fast as possible, the events of one call in order. Returns the seconds."""
    sequences = iter([[build_request(body) for body in call.bodies] for call in calls])
    opened = [await Connection.open(server) for _ in range(connections)]
    started = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for connection in opened:
            workers.create_task(_send_sequences(connection, sequences))
    seconds = time.perf_counter() - started
    for connection in opened:
        await connection.close()
    return seconds


async def _send_sequences(connection: Connection, sequences: Iterator[list[bytes]]) -> None:
    for sequence in sequences:
        for request in sequence:
            await connection.post(request)
