"""Traces, as a real collector gets them."""

import asyncio
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from threading import Thread

import pytest

from crm_clients.local import LocalSettings
from crm_clients.webhook import WebhookSettings
from relay import tracing
from relay.instants import SECOND, Instant
from relay.tracing.tracer import CallTracer
from tests.support.collector import CollectedSpan, Collector, running_collector
from tests.support.in_process import in_process_relay, settings_in
from tests.support.patience import PATIENCE
from tests.support.receiver import SECRET
from tests.support.servers import free_port

T0 = Instant(1_800_000_000 * SECOND)
NAME, NUMBER = "Ana García", "+34600111222"
STARTED = {
    "event": "call.started",
    "data": {"id": "1", "direction": "inbound", "contact_name": NAME, "from": NUMBER},
}
ENDED = {"event": "call.ended", "data": {"id": "1", "duration": 61}}
EVENTS = (STARTED, ENDED)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


def by_name(spans: list[CollectedSpan]) -> dict[str, list[CollectedSpan]]:
    names = dict.fromkeys(span.name for span in spans)
    return {name: [span for span in spans if span.name == name] for name in names}


def is_complete(spans: list[CollectedSpan]) -> bool:
    destinations = {span.attributes["destination"] for span in spans if span.name == "push"}
    return destinations == {"crm", "far"} and [span.name for span in spans].count("fold") == len(EVENTS)


async def test_a_call_is_one_trace_from_its_first_event_to_its_pushes(
    tmp_path: Path, collector: Collector
) -> None:
    unreachable = {"client": "webhook", "url": f"http://127.0.0.1:{free_port()}", "secret": SECRET}
    settings = settings_in(
        tmp_path,
        telemetry={"otlp_endpoint": collector.url, "otlp_headers": ["X-Key: value-of-the-tests"]},
        destinations={
            "crm": LocalSettings(client="local", path=tmp_path / "crm.db"),
            "far": WebhookSettings.model_validate(unreachable | {"allow_private": True}),
        },
    )
    async with in_process_relay(settings) as (_, client):
        async with asyncio.timeout(PATIENCE):
            while tracing.current() is None:
                await asyncio.sleep(0.01)
            for event in EVENTS:
                assert (await client.post("/cloudtalk/webhook", json=event)).status_code == 200
            while not is_complete(collector.spans):
                await asyncio.sleep(0.05)
    assert tracing.current() is None
    assert {span.service for span in collector.spans} == {"cloudtalk-relay"}
    assert collector.headers[0]["x-key"] == "value-of-the-tests"
    digest = hashlib.sha256(b"cloudtalk-1").hexdigest()
    assert {span.trace for span in collector.spans} == {digest[:32]}
    found = by_name(collector.spans)
    (root,) = [span for span in collector.spans if not span.parent]
    assert (root.name, root.span, root.attributes["event.kind"]) == ("received", digest[32:48], "started")
    assert {span.parent for span in collector.spans if span is not root} == {root.span}
    assert [span.attributes["event.kind"] for span in found["received"]] == ["started", "ended"]
    assert found["fold"][0].attributes == {
        "call.id": "cloudtalk-1",
        "event.seq": 1,
        "event.kind": "started",
        "event.dialect": "mission",
    }
    outcomes = {
        (span.attributes["destination"], span.attributes["outcome"], span.status) for span in found["push"]
    }
    assert ("crm", "delivered", 0) in outcomes
    assert ("far", "retry", 2) in outcomes
    assert all(span.start <= span.end for span in collector.spans)
    assert found["received"][0].end == found["fold"][0].start
    bodies = b"".join(collector.bodies)
    assert NAME.encode() not in bodies
    assert b"600111222" not in bodies


def test_another_process_continues_the_trace(collector: Collector) -> None:
    first, other = (CallTracer(collector.url, []) for _ in range(2))
    attributes = {"destination": "crm", "outcome": "delivered"}
    times = {"received_at": T0, "planned_at": Instant(T0 + 5), "folded_at": Instant(T0 + 9)}
    first.trace_event("cloudtalk-1", {"event.seq": 1}, is_first=True, **times)
    other.trace_push("cloudtalk-1", attributes, failed=False, started_at=T0, ended_at=Instant(T0 + 7))
    for tracer in (first, other):
        tracer.close()
    found = by_name(collector.spans)
    assert found["push"][0].trace == found["received"][0].trace
    assert found["push"][0].parent == found["received"][0].span
    assert (found["fold"][0].start, found["fold"][0].end) == ((T0 + 5) * 1000, (T0 + 9) * 1000)


def test_a_clock_that_was_set_back_gives_no_negative_duration(collector: Collector) -> None:
    tracer = CallTracer(f"{collector.url}/v1/traces", [])
    tracer.trace_push("cloudtalk-1", {}, failed=True, started_at=T0, ended_at=Instant(T0 - 5))
    tracer.close()
    (span,) = collector.spans
    assert span.start == span.end == T0 * 1000


def test_a_collector_that_is_down_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float | None] = []
    join = Thread.join

    def record(thread: Thread, timeout: float | None = None) -> None:
        limits.append(timeout)
        join(thread, timeout)

    tracer = CallTracer(f"http://127.0.0.1:{free_port()}", [])
    began = time.monotonic()
    for _ in range(3_000):
        tracer.trace_push("cloudtalk-1", {}, failed=False, started_at=T0, ended_at=T0)
    monkeypatch.setattr(Thread, "join", record)
    tracer.close()
    assert limits == [2.0]  # a relay must stop within 8 s
    assert time.monotonic() - began < PATIENCE / 2  # nothing else waits: the SDK retries for 34 s


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    program = """
        import sys
        import relay.app, relay.cli.serve
        sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
    """
    assert subprocess.run([sys.executable, "-c", dedent(program)], check=False).returncode == 0  # noqa: S603
