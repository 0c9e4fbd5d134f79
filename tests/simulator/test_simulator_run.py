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

from relay.simulator import DIALECTS, SimulatedCall, run, scenarios, simulate

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def names(call: SimulatedCall) -> tuple[str, ...]:
    return tuple(body["event"] for body in call.events)


class Came(NamedTuple):
    target: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


class Receiver(ThreadingHTTPServer):
    """Answers as it is told and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.status = 200
        self.came: list[Came] = []
        self.connections: set[int] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/cloudtalk/webhook"


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append(Came(self.path, dict(self.headers.items()), raw))
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
    expected = scenarios(40, 3, datetime.now(UTC))
    assert report.sent == report.acknowledged == len(receiver.came) == sum(len(c.events) for c in expected)
    assert (report.refused, report.unanswered, report.seed) == ({}, 0, 3)
    assert {came.headers["Authorization"] for came in receiver.came} == {"Bearer t0ken"}
    for call in expected:
        came = [
            came.body["event"]
            for came in receiver.came
            if came.body["data"]["id"] == call.expected["call_id"]
        ]
        assert tuple(came) == names(call)
    assert steps == [(n + 1, report.sent) for n in range(report.sent)]
    assert [record["id"] for record in report.expected] == [call.expected["id"] for call in expected]


async def test_connections_are_bounded_and_kept(receiver: Receiver) -> None:
    await simulate(receiver.url, calls=100, seed=3)
    assert 1 < len(receiver.connections) <= run.CONNECTIONS


async def test_calls_are_interleaved(receiver: Receiver) -> None:
    await simulate(receiver.url, calls=40, seed=3)
    order = [came.body["data"]["id"] for came in receiver.came]
    assert order != sorted(order)


async def test_chaos_sends_more_and_expects_the_same(receiver: Receiver) -> None:
    calm = await simulate(receiver.url, calls=30, seed=3)
    receiver.came.clear()
    chaotic = await simulate(receiver.url, calls=30, seed=3, chaos=True)
    assert len(receiver.came) == chaotic.acknowledged > calm.acknowledged
    timeless = [{k: v for k, v in c.items() if not k.endswith("_at")} for c in calm.expected]
    assert [{k: v for k, v in c.items() if not k.endswith("_at")} for c in chaotic.expected] == timeless


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_is_sent_as_json_to_the_hook_or_below_it(
    receiver: Receiver, dialect: str
) -> None:
    report = await simulate(receiver.url, calls=30, seed=3, dialect=dialect)
    assert (report.dialect, report.acknowledged) == (dialect, len(receiver.came))
    for came in receiver.came:
        assert came.headers["Content-Type"] == "application/json"
        assert re.fullmatch(r"/cloudtalk/webhook(/[a-z.]+|\?event=[a-z.]+)?", came.target)


async def test_an_event_is_named_beside_what_the_url_bears_already(receiver: Receiver) -> None:
    await simulate(f"{receiver.url}?token=x", calls=30, seed=3, dialect="workflow")
    targets = {came.target for came in receiver.came}
    assert "/cloudtalk/webhook/call.ended?token=x" in targets
    assert "/cloudtalk/webhook?token=x&event=call.ended" in targets


async def test_a_signing_secret_signs_what_has_a_message_id_and_nothing_else(receiver: Receiver) -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    await simulate(receiver.url, token="t", signing_secret=SECRET, calls=40, seed=3, dialect="mixed")
    signed = [came for came in receiver.came if "svix-signature" in came.headers]
    assert signed
    for came in receiver.came:
        assert ("event_id" in came.body) == (came in signed)
        assert ("Authorization" in came.headers) != (came in signed)
    for came in signed:
        id_, timestamp = came.headers["svix-id"], came.headers["svix-timestamp"]
        assert abs(int(timestamp) - time.time()) < 60
        told = hmac.new(key, f"{id_}.{timestamp}.".encode() + came.raw, "sha256").digest()
        assert came.headers["svix-signature"] == "v1," + base64.b64encode(told).decode()


async def test_a_redelivery_bears_the_same_message_id(receiver: Receiver) -> None:
    await simulate(receiver.url, signing_secret=SECRET, calls=100, seed=3, dialect="signed")
    by_id: dict[str, list[dict[str, Any]]] = {}
    for came in receiver.came:
        by_id.setdefault(came.headers["svix-id"], []).append(came.body)
    twice = [bodies for bodies in by_id.values() if len(bodies) > 1]
    assert {len(bodies) for bodies in twice} == {2}
    assert all(first["data"] == again["data"] for first, again in twice)
    assert {first["event_id"] == again["event_id"] for first, again in twice} == {True, False}


async def test_without_a_secret_the_token_opens_signed_bodies_too(receiver: Receiver) -> None:
    await simulate(receiver.url, token="t", calls=3, seed=3, dialect="signed")
    assert {came.headers["Authorization"] for came in receiver.came} == {"Bearer t"}
    assert not any("svix-id" in came.headers for came in receiver.came)


async def test_a_secret_that_is_none_is_said_before_anything_is_sent(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        await simulate(receiver.url, signing_secret="whsec_?", calls=1)
    assert not receiver.came


async def test_chaos_foretells_no_id_where_it_depends_on_the_order(receiver: Receiver) -> None:
    calm = await simulate(receiver.url, calls=30, seed=3, dialect="workflow")
    chaotic = await simulate(receiver.url, calls=30, seed=3, dialect="workflow", chaos=True)
    assert [c["id"] for c in calm.expected] == [f"cloudtalk-{c['call_uuid']}" for c in chaotic.expected]
    assert not any("id" in c for c in chaotic.expected)
    assert 0 < sum("tags" in c for c in chaotic.expected) < 30


async def test_a_rate_holds_events_back(receiver: Receiver) -> None:
    report = await simulate(receiver.url, calls=10, seed=3, rate=100)
    assert report.seconds >= (report.sent - 1) / 100
    assert report.acknowledged == report.sent


async def test_refusals_are_counted_by_their_status(receiver: Receiver) -> None:
    receiver.status = 401
    report = await simulate(receiver.url, calls=5, seed=3)
    assert report.acknowledged == 0
    assert report.refused == {401: report.sent}


async def test_a_dead_hook_is_counted_and_raises_nothing() -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        report = await simulate(f"http://127.0.0.1:{bound.getsockname()[1]}/", calls=5, seed=3)
    assert report.unanswered == report.sent > 0
    assert (report.acknowledged, report.p50_ms, report.p95_ms) == (0, None, None)


async def test_an_address_that_is_none_is_said_before_anything_is_sent() -> None:
    with pytest.raises(httpx.InvalidURL):
        await simulate("http://x:port", calls=1)


async def test_a_token_may_hold_any_character(receiver: Receiver) -> None:
    await simulate(receiver.url, token="ñ", calls=1)
    assert receiver.came[0].headers["Authorization"] == "Bearer ñ".encode().decode("latin-1")


async def test_without_a_seed_each_run_has_new_calls(receiver: Receiver) -> None:
    first, second = await simulate(receiver.url, calls=1), await simulate(receiver.url, calls=1)
    assert first.expected[0]["id"] != second.expected[0]["id"]


async def test_no_calls_are_no_requests(receiver: Receiver) -> None:
    report = await simulate(receiver.url, calls=0, seed=3)
    assert (report.sent, report.expected, receiver.came) == (0, [], [])


async def test_the_report_is_one_json_object(receiver: Receiver) -> None:
    receiver.status = 503
    report = json.loads(msgspec.json.encode(await simulate(receiver.url, calls=1, seed=3)))
    assert {"sent", "acknowledged", "expected", "seconds", "p50_ms", "p95_ms", "seed"} <= report.keys()
    assert report["refused"] == {"503": report["sent"]}


@pytest.mark.parametrize(
    ("latencies", "found"),
    [([], (None, None)), ([0.002], (2.0, 2.0)), ([n / 1000 for n in range(101)], (50.0, 95.0))],
)
def test_percentiles_are_in_milliseconds(
    latencies: list[float], found: tuple[float | None, float | None]
) -> None:
    assert run._percentiles(latencies) == found
