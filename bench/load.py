"""A load generator that costs little: prepared HTTP/1.1 requests over a few raw connections.

It shares the machine with the relay, so every microsecond of its own would be measured with it.
"""

import asyncio
import re
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from bench.answer import BenchError
from bench.server import Server
from relay.server.server import new_event_loop
from relay.simulator import SimulatedCall, generate_calls
from relay.simulator.demo import find_differences

T = TypeVar("T")

HOOK: Final = "/cloudtalk/webhook"
_SEED: Final = 7
_ANSWER_SECONDS: Final = 30.0
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run this on the loop that the relay uses too."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def calls_now(number: int) -> list[SimulatedCall]:
    """That many calls of a simulated CloudTalk, the same ones in each run but for their times."""
    return generate_calls(number, _SEED, datetime.now(UTC))


def assert_delivered(server: Server, calls: Sequence[SimulatedCall]) -> None:
    """A relay that answers quickly and delivers something else is not fast. Raises `BenchError`."""
    wrong = find_differences([call.expected for call in calls], server.records())
    if wrong:
        raise BenchError(f"{len(wrong)} of {len(calls)} records are not as they must be: {wrong[:1]}")


def request(body: dict[str, Any]) -> bytes:
    """A whole request that posts this body."""
    content = msgspec.json.encode(body)
    head = f"POST {HOOK} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Connection:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, server: Server) -> "Connection":
        """Connect to the server's hook."""
        return cls(*await asyncio.open_connection(server.host, server.port))

    async def post(self, prepared: bytes) -> None:
        """Send one request and read its answer. Raises `BenchError` for any but 200."""
        self._writer.write(prepared)
        async with asyncio.timeout(_ANSWER_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the relay answered {head.splitlines()[0]!r}: {body!r}")

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


async def send(server: Server, calls: Iterable[SimulatedCall], *, connections: int) -> float:
    """Send every event as fast as it goes, those of a call in their order; the seconds it took."""
    errands = iter([[request(body) for body in call.bodies] for call in calls])
    lines = [await Connection.open(server) for _ in range(connections)]
    started = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for line in lines:
            workers.create_task(_work(line, errands))
    seconds = time.perf_counter() - started
    for line in lines:
        await line.close()
    return seconds


async def _work(line: Connection, errands: Iterator[list[bytes]]) -> None:
    for errand in errands:
        for prepared in errand:
            await line.post(prepared)
