"""CloudTalk under load: calls told to the relays at a pace, each message until it is acknowledged.

Its list of what was acknowledged is written to a file and flushed line by line: the account at the end
is made from that, and not from what a relay says.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Final

import msgspec

from relay.server.server import new_event_loop
from relay.simulator import Message, SimulatedCall, generate_calls
from tests.support.relay import WEBHOOK_PATH

DIALECTS: Final = ("mission", "workflow", "mixed")
"""Those in which every message names its call, so that what each call comes to is foretold."""

_CALLS_AT_ONCE: Final = 24
_PORTION: Final = 500
_MESSAGES_OF_A_CALL: Final = 5
"""About."""

_ANSWER_SECONDS: Final = 7.0
"""Longer than the relay holds a request when its ledger is away."""

_AGAIN_SECONDS: Final = 0.05
_SHUN_SECONDS: Final = 2.5
"""How long a relay that did not answer is left out, as a load balancer does."""

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Told(msgspec.Struct):
    """A call that was told to its end. `doubted`: a request about it was not answered by a relay that may
    have been stopped, so that it may have been taken later than what was told after it.
    """

    call: SimulatedCall
    doubted: bool = False


class Relay:
    """One relay as a load balancer sees it: one that did not answer is tried again by one request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._shunned_until: float | None = None

    def may_be_tried(self) -> bool:
        """Whether a request may go there; where one failed, one at a time may."""
        if self._shunned_until is None:
            return True
        tried = self._shunned_until < time.monotonic()
        if tried:
            self.failed()
        return tried

    def failed(self) -> None:
        self._shunned_until = time.monotonic() + _SHUN_SECONDS

    def answered(self) -> None:
        self._shunned_until = None


class Load(threading.Thread):
    """Tells calls from `start` until `stop`, in turn to the relays on these ports of this machine.

    `rate`: messages a second over all, what was missed while nobody listened made up for. `patience`:
    seconds after which an answer is not waited for.
    """

    def __init__(
        self,
        ports: Sequence[int],
        kept: Path,
        *,
        rate: float,
        seed: int,
        patience: float = _ANSWER_SECONDS,
    ) -> None:
        super().__init__(daemon=True, name="load")
        self._relays = [Relay(port) for port in ports]
        self._next = cycle(self._relays)
        self._interval = 1 / rate
        self._patience = patience
        self.kept = kept
        self._calls = _calls(seed, rate)
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.told: list[Told] = []
        self.sent = self.acknowledged = 0
        self.seconds = 0.0

    def abandon(self) -> None:
        """End at once, where that has not happened in order."""
        self._stopped.set()
        if self._loop is not None and self._task is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self.join(10)

    def stop(self, seconds: float = 60.0) -> None:
        """Begin no more calls, and return when those under way are told."""
        self._stopped.set()
        self.join(seconds)
        if self._failure is not None:
            raise self._failure
        assert not self.is_alive(), "calls that were begun could not be told to their end"

    def run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            try:
                runner.run(self._tell_all())
            except BaseException as error:  # noqa: BLE001 - `stop` raises it
                self._failure = error

    async def _tell_all(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        begun = self._turn = time.perf_counter()
        with self.kept.open("ab") as self._list:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_CALLS_AT_ONCE):
                    workers.create_task(self._work())
        self.seconds = time.perf_counter() - begun

    async def _work(self) -> None:
        lines: dict[int, Line] = {}
        while not self._stopped.is_set():
            told = Told(next(self._calls))
            for message in told.call.messages:
                await self._take_turn()
                await self._until_acknowledged(message, told, lines)
            self.told.append(told)
        for line in lines.values():
            line.close()

    async def _take_turn(self) -> None:
        turn, self._turn = self._turn, self._turn + self._interval
        await asyncio.sleep(max(0.0, turn - time.perf_counter()))

    async def _until_acknowledged(self, message: Message, told: Told, lines: dict[int, "Line"]) -> None:
        while True:
            relay = self._choose()
            status = 0
            self.sent += 1
            try:
                async with asyncio.timeout(self._patience):
                    if relay.port not in lines:
                        lines[relay.port] = await Line.open(relay.port)
                    status = await lines[relay.port].post(message)
                relay.answered()
            except (OSError, asyncio.IncompleteReadError) as error:  # a timeout is an OSError
                told.doubted |= isinstance(error, TimeoutError)
                relay.failed()
                if line := lines.pop(relay.port, None):
                    line.close()
            if status == 200:
                self._keep(message)
                return
            assert status in {0, 503}, f"{status} for {message}"
            await asyncio.sleep(_AGAIN_SECONDS)

    def _choose(self) -> Relay:
        """The next in turn; where none may be tried, or there is but one, whichever it is."""
        for _ in self._relays[1:]:
            relay = next(self._next)
            if relay.may_be_tried():
                return relay
        return next(self._next)

    def _keep(self, message: Message) -> None:
        self._list.write(key_of(message) + b"\n")
        self._list.flush()
        self.acknowledged += 1


class Line:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Line":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, message: Message) -> int:
        """Send it; the status of the answer."""
        body = msgspec.json.encode(message.body)
        query = f"?{message.query}" if message.query else ""
        head = f"POST {WEBHOOK_PATH}{message.path}{query} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        await self._reader.readexactly(int(length[1]) if length else 0)
        return int(answer.split(b" ", 2)[1])

    def close(self) -> None:
        with suppress(OSError):
            self._writer.transport.abort()


def key_of(message: Message) -> bytes:
    """A message as the journal keeps it: path, query and body, on one line."""
    return b"%s%s %s %s" % (
        WEBHOOK_PATH.encode(),
        message.path.encode(),
        message.query.encode(),
        msgspec.json.encode(message.body),
    )


def _calls(seed: int, rate: float) -> Iterator[SimulatedCall]:
    """Ever new calls that begin about when they are told, of each dialect in turn."""
    spacing = timedelta(seconds=len(DIALECTS) * _MESSAGES_OF_A_CALL / rate)
    voices = [_voice(dialect, seed, spacing) for dialect in DIALECTS]
    while True:
        yield from map(next, voices)


def _voice(dialect: str, seed: int, spacing: timedelta) -> Iterator[SimulatedCall]:
    for portion in count():
        # A seed of its own: with the same one the same calls would come again.
        own_seed = seed * 1_000 + portion
        yield from generate_calls(_PORTION, own_seed, datetime.now(UTC), spacing=spacing, dialect=dialect)
