"""The load generator, against a server that records what it gets."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from bench.load import (
    SIGNING_SECRET,
    build_request,
    build_requests,
    for_seconds,
    generate_calls_now,
    percentile_ms,
    send,
)
from bench.result import BenchError
from relay.cloudtalk.signatures import SignatureVerifier
from tests.support.servers import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Recorder:
    """A server that answers each request with the pieces of `response`."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, bytes]] = []
        self.response = [OK]
        self.under_way = self.most_under_way = 0
        self._connections = itertools.count()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._connections)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                self.requests.append((number, await reader.readexactly(length)))
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                for piece in self.response:
                    writer.write(piece)
                    await asyncio.sleep(0.001)
                self.under_way -= 1
        except asyncio.IncompleteReadError:  # the client has closed the connection
            return


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def server(recorder: Recorder) -> AsyncIterator[Any]:
    async with serving(recorder.handle) as url:
        yield address(url)


def address(url: str) -> Any:
    return SimpleNamespace(host="127.0.0.1", port=urlsplit(url).port)


def sequences(calls: int) -> list[list[bytes]]:
    return [[build_request(b"%d-%d" % (call, event)) for event in range(3)] for call in range(calls)]


async def test_the_events_of_a_call_are_sent_in_order_over_one_connection(
    recorder: Recorder, server: Any
) -> None:
    sent = await send([server], sequences(20), connections=4)
    assert (sent.calls, sent.requests, len(recorder.requests)) == (20, 60, 60)
    of_call: dict[bytes, list[tuple[int, bytes]]] = {}
    for connection, body in recorder.requests:
        of_call.setdefault(body.partition(b"-")[0], []).append((connection, body[-1:]))
    assert all([event for _, event in events] == [b"0", b"1", b"2"] for events in of_call.values())
    assert all(len({connection for connection, _ in events}) == 1 for events in of_call.values())


async def test_no_connection_sends_before_its_response(recorder: Recorder, server: Any) -> None:
    recorder.response = [OK[:9], OK[9:-1], OK[-1:]]
    sent = await send([server], sequences(10), connections=3)
    assert sent.requests == 30
    assert recorder.most_under_way == 3
    assert min(sent.latencies) >= 0.002  # the response is complete with its last piece


async def test_any_other_status_fails(recorder: Recorder, server: Any) -> None:
    recorder.response = [OK.replace(b"200", b"503")]
    with pytest.raises(BenchError, match="503"):
        await send([server], sequences(1), connections=1)


async def test_a_closed_connection_fails() -> None:
    async def close(*_: Any) -> None:
        """Return at once: then the connection is closed."""

    async with serving(close) as url:
        with pytest.raises(BenchError, match="closed"):
            await send([address(url)], sequences(1), connections=1)


async def test_a_rate_spreads_the_requests(recorder: Recorder, server: Any) -> None:
    times: list[float] = []
    sent = await send([server], sequences(5), connections=2, rate=200, on_send=lambda _, at: times.append(at))
    assert len(recorder.requests) == 15
    assert sent.seconds >= 14 / 200
    assert len(times) == 15


def test_sending_ends_after_its_time_with_whole_calls() -> None:
    assert list(for_seconds(60, [[b"1"], [b"2"]])) == [[b"1"], [b"2"]]
    assert list(for_seconds(0, [[b"1"], [b"2"]])) == []


def test_a_signed_request_is_signed() -> None:
    [[request, *_], *_] = build_requests(generate_calls_now(3, dialect="signed"))
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.decode().split(": ") for line in head.split(b"\r\n")[1:]]
    headers = {name.lower(): value for name, value in lines}
    assert SignatureVerifier([SIGNING_SECRET]).verify(headers, body, now=int(time.time()))
    assert int(headers["content-length"]) == len(body)


def test_a_request_contains_the_path_and_query_that_name_the_event() -> None:
    [calls] = [generate_calls_now(30, dialect="workflow")]
    targets = {request.split(b" ")[1] for call in build_requests(calls) for request in call}
    named = {f"/cloudtalk/webhook{m.path}" for call in calls for m in call.messages}
    assert {target.decode().partition("?")[0] for target in targets} == named
    assert {msgspec.json.encode(message.body) for message in calls[0].messages} == {
        request.partition(b"\r\n\r\n")[2] for request in build_requests(calls)[0]
    }


def test_percentiles() -> None:
    seconds = [each / 1000 for each in range(101)]
    assert [percentile_ms(seconds, percent) for percent in (50, 95, 99)] == pytest.approx([50, 95, 99])
