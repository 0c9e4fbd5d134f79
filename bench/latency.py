"""Latency: the time from sending an event until its row is in the CRM, at the rate of a large company.

Measured with one CRM, and with a second CRM that never answers.
"""

import asyncio
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any, Final

from bench.load import Connection, build_request, run
from bench.result import BenchError, Figure, Result
from bench.server import ENGINE, Server, scratch_folder, serve

RATE: Final = 200
TITLE: Final = f"Time from event sent to row in the CRM at {RATE} events/s"
_EVENTS: Final = 3_000
_QUICK_EVENTS: Final = 600
_CONNECTIONS: Final = 16
_WARM_UP_EVENTS: Final = 100
"""The first events, which are not counted: connections and caches are cold."""

_POLL_SECONDS: Final = 0.0005
_TIMEOUT_SECONDS: Final = 10.0
_DEAD_CRM: Final = """
[destinations.dead]
client = "supabase"
url = "http://127.0.0.1:{port}"
key = "none"
"""
_NEW_ROWS: Final = "SELECT rowid, call_id FROM calls WHERE rowid > ?"

Times = dict[str, float]
"""`perf_counter` by the call's id."""


def measure(*, quick: bool) -> Result:
    """Each event starts a call of its own, so that it gives a new row. The CRM's file is polled for rows."""
    events = _QUICK_EVENTS if quick else _EVENTS
    alone = _measure_latencies(events)
    with socket.create_server(("127.0.0.1", 0)) as dead_crm:  # it accepts connections and never answers
        beside = _measure_latencies(events, more_settings=_DEAD_CRM.format(port=dead_crm.getsockname()[1]))
    return Result(
        TITLE,
        (*_figures("one CRM", alone), *_figures("beside a dead CRM", beside)),
        f"{len(alone):,} events each, each a call of its own, {ENGINE}",
    )


def _measure_latencies(events: int, *, more_settings: str = "") -> list[float]:
    """Return the latency of each event in ms."""
    with scratch_folder() as folder, serve(folder, more_settings=more_settings) as server:
        sent, seen = run(_send_and_watch(server, events))
    return [1000 * (seen[call] - sent_at) for call, sent_at in list(sent.items())[_WARM_UP_EVENTS:]]


def _figures(label: str, latencies: list[float]) -> tuple[Figure, Figure]:
    cuts = quantiles(latencies, n=100, method="inclusive")
    return Figure(f"{label}: p50", cuts[49], "ms"), Figure("p95", cuts[94], "ms")


async def _send_and_watch(server: Server, events: int) -> tuple[Times, Times]:
    """Return when each event was sent, and when its row was seen."""
    connections = [await Connection.open(server) for _ in range(_CONNECTIONS)]
    await connections[0].post(build_request(_body("first", datetime.now(UTC))))  # creates the CRM's file
    server.wait_until_delivered()
    sent: Times = {}
    schedule = _schedule(events, time.perf_counter())
    watcher = asyncio.create_task(_watch_crm(server, events))
    async with asyncio.TaskGroup() as workers:
        for connection in connections:
            workers.create_task(_send_scheduled(connection, schedule, sent))
    seen = await watcher
    for connection in connections:
        await connection.close()
    return sent, seen


def _schedule(events: int, start: float) -> Iterator[tuple[str, float]]:
    """Yield the calls and when each is to be sent."""
    for index in range(events):
        yield f"bench-{index}", start + index / RATE


async def _send_scheduled(connection: Connection, schedule: Iterator[tuple[str, float]], sent: Times) -> None:
    for call, send_at in schedule:
        await asyncio.sleep(send_at - time.perf_counter())
        request = build_request(_body(call, datetime.now(UTC)))
        sent[call] = time.perf_counter()
        await connection.post(request)


async def _watch_crm(server: Server, events: int) -> Times:
    """Poll the CRM's file for new rows until there is one per event. Raises `BenchError` after a timeout."""
    seen: Times = {}
    last_row, deadline = 1, time.monotonic() + events / RATE + _TIMEOUT_SECONDS
    with closing(sqlite3.connect(f"{server.crm.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        while len(seen) < events:
            for row, call in connection.execute(_NEW_ROWS, (last_row,)).fetchall():
                seen[call] = time.perf_counter()
                last_row = max(last_row, row)
            if time.monotonic() > deadline:
                raise BenchError(f"only {len(seen)} of {events} calls reached the CRM")
            await asyncio.sleep(_POLL_SECONDS)
    return seen


def _body(call: str, now: datetime) -> dict[str, Any]:
    data = {
        "id": call,
        "direction": "inbound",
        "from": "+34612345678",
        "to": "+34987654321",
        "contact_id": "contact-7",
        "contact_name": "Ana Ejemplo",
        "started_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"event": "call.started", "data": data}
