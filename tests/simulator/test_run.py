import base64
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from relay.simulator import DIALECTS, SimulatedCall, generate_calls, simulate
from relay.simulator.sender import CONNECTIONS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def event_names(call: SimulatedCall) -> tuple[str, ...]:
    return tuple(body["event"] for body in call.bodies)


class ReceivedRequest(NamedTuple):
    target: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body


class Receiver(ThreadingHTTPServer):
    """Records every request and answers with `status`."""

    daemon_threads = True
    request_queue_size = 64  # the default of 5 resets connections when the machine is busy

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.requests: list[ReceivedRequest] = []
        self.connections: set[int] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/cloudtalk/webhook"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(ReceivedRequest(self.path, dict(self.headers.items()), raw))
        self.server.connections.add(self.client_address[1])
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Tests are quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_a_run_sends_every_event_in_the_order_of_its_call(receiver: Receiver) -> None:
    steps: list[tuple[int, int]] = []
    report = await simulate(
        receiver.url, token="t0ken", calls=40, seed=3, on_progress=lambda *step: steps.append(step)
    )
    expected = generate_calls(40, 3, datetime.now(UTC))
    assert (
        report.sent == report.acknowledged == len(receiver.requests) == sum(len(c.bodies) for c in expected)
    )
    assert (report.refused, report.unanswered, report.seed) == ({}, 0, 3)
    assert {request.headers["Authorization"] for request in receiver.requests} == {"Bearer t0ken"}
    for call in expected:
        names = [
            request.body["event"]
            for request in receiver.requests
            if request.body["data"]["id"] == call.expected["call_id"]
        ]
        assert tuple(names) == event_names(call)
    assert steps == [(n + 1, report.sent) for n in range(report.sent)]
    assert [record["id"] for record in report.expected] == [call.expected["id"] for call in expected]


async def test_connections_are_limited_and_reused(receiver: Receiver) -> None:
    await simulate(receiver.url, calls=100, seed=3)
    assert 1 < len(receiver.connections) <= CONNECTIONS


async def test_calls_are_interleaved(receiver: Receiver) -> None:
    await simulate(receiver.url, calls=40, seed=3)
    order = [request.body["data"]["id"] for request in receiver.requests]
    assert order != sorted(order)


async def test_chaos_sends_more_and_expects_the_same(receiver: Receiver) -> None:
    in_order = await simulate(receiver.url, calls=30, seed=3)
    receiver.requests.clear()
    shuffled = await simulate(receiver.url, calls=30, seed=3, chaos=True)
    assert len(receiver.requests) == shuffled.acknowledged > in_order.acknowledged
    without_times = [{k: v for k, v in c.items() if not k.endswith("_at")} for c in in_order.expected]
    assert [{k: v for k, v in c.items() if not k.endswith("_at")} for c in shuffled.expected] == without_times


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_is_sent_as_json_to_the_webhook_url_or_a_path_below(
    receiver: Receiver, dialect: str
) -> None:
    report = await simulate(receiver.url, calls=30, seed=3, dialect=dialect)
    assert (report.dialect, report.acknowledged) == (dialect, len(receiver.requests))
    for request in receiver.requests:
        assert request.headers["Content-Type"] == "application/json"
        assert re.fullmatch(r"/cloudtalk/webhook(/[a-z.]+|\?event=[a-z.]+)?", request.target)


async def test_the_name_of_an_event_is_added_to_the_query_of_the_url(receiver: Receiver) -> None:
    await simulate(f"{receiver.url}?token=x", calls=30, seed=3, dialect="workflow")
    targets = {request.target for request in receiver.requests}
    assert "/cloudtalk/webhook/call.ended?token=x" in targets
    assert "/cloudtalk/webhook?token=x&event=call.ended" in targets


async def test_a_signing_secret_signs_only_messages_with_a_message_id(receiver: Receiver) -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    await simulate(receiver.url, token="t", signing_secret=SECRET, calls=40, seed=3, dialect="mixed")
    signed = [request for request in receiver.requests if "svix-signature" in request.headers]
    assert signed
    for request in receiver.requests:
        assert ("event_id" in request.body) == (request in signed)
        assert ("Authorization" in request.headers) != (request in signed)
    for request in signed:
        id_, timestamp = request.headers["svix-id"], request.headers["svix-timestamp"]
        assert abs(int(timestamp) - time.time()) < 60
        expected = hmac.new(key, f"{id_}.{timestamp}.".encode() + request.raw, "sha256").digest()
        assert request.headers["svix-signature"] == "v1," + base64.b64encode(expected).decode()


async def test_a_redelivery_has_the_same_message_id(receiver: Receiver) -> None:
    await simulate(receiver.url, signing_secret=SECRET, calls=100, seed=3, dialect="signed")
    by_id: dict[str, list[dict[str, Any]]] = {}
    for request in receiver.requests:
        by_id.setdefault(request.headers["svix-id"], []).append(request.body)
    twice = [bodies for bodies in by_id.values() if len(bodies) > 1]
    assert {len(bodies) for bodies in twice} == {2}
    assert all(first["data"] == again["data"] for first, again in twice)
    assert {first["event_id"] == again["event_id"] for first, again in twice} == {True, False}


async def test_without_a_secret_signed_bodies_are_sent_with_the_token(receiver: Receiver) -> None:
    await simulate(receiver.url, token="t", calls=3, seed=3, dialect="signed")
    assert {request.headers["Authorization"] for request in receiver.requests} == {"Bearer t"}
    assert not any("svix-id" in request.headers for request in receiver.requests)


async def test_an_invalid_secret_raises_before_anything_is_sent(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        await simulate(receiver.url, signing_secret="whsec_?", calls=1)
    assert not receiver.requests


async def test_chaos_expects_no_id_if_it_depends_on_the_order(receiver: Receiver) -> None:
    in_order = await simulate(receiver.url, calls=30, seed=3, dialect="workflow")
    shuffled = await simulate(receiver.url, calls=30, seed=3, dialect="workflow", chaos=True)
    assert [c["id"] for c in in_order.expected] == [f"cloudtalk-{c['call_uuid']}" for c in shuffled.expected]
    assert not any("id" in c for c in shuffled.expected)
    assert 0 < sum("tags" in c for c in shuffled.expected) < 30


async def test_a_rate_limits_events_per_second(receiver: Receiver) -> None:
    report = await simulate(receiver.url, calls=10, seed=3, rate=100)
    assert report.seconds >= (report.sent - 1) / 100
    assert report.acknowledged == report.sent


async def test_refused_requests_are_counted_by_status(receiver: Receiver) -> None:
    receiver.status = 401
    report = await simulate(receiver.url, calls=5, seed=3)
    assert report.acknowledged == 0
    assert report.refused == {401: report.sent}


async def test_requests_without_a_response_are_counted_and_raise_nothing() -> None:
    with socket.socket() as bound:  # but not listening
        bound.bind(("127.0.0.1", 0))
        report = await simulate(f"http://127.0.0.1:{bound.getsockname()[1]}/", calls=5, seed=3)
    assert report.unanswered == report.sent > 0
    assert (report.acknowledged, report.p50_ms, report.p95_ms) == (0, None, None)


async def test_an_invalid_url_raises_before_anything_is_sent() -> None:
    with pytest.raises(httpx.InvalidURL):
        await simulate("http://x:port", calls=1)


async def test_a_token_may_contain_any_character(receiver: Receiver) -> None:
    await simulate(receiver.url, token="ñ", calls=1)
    assert receiver.requests[0].headers["Authorization"] == "Bearer ñ".encode().decode("latin-1")


async def test_without_a_seed_each_run_has_new_calls(receiver: Receiver) -> None:
    first, second = await simulate(receiver.url, calls=1), await simulate(receiver.url, calls=1)
    assert first.expected[0]["id"] != second.expected[0]["id"]


async def test_zero_calls_send_no_requests(receiver: Receiver) -> None:
    report = await simulate(receiver.url, calls=0, seed=3)
    assert (report.sent, report.expected, receiver.requests) == (0, [], [])


async def test_the_report_is_one_json_object(receiver: Receiver) -> None:
    receiver.status = 503
    report = json.loads(msgspec.json.encode(await simulate(receiver.url, calls=1, seed=3)))
    assert {"sent", "acknowledged", "expected", "seconds", "p50_ms", "p95_ms", "seed"} <= report.keys()
    assert report["refused"] == {"503": report["sent"]}
