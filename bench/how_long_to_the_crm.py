"""How old a call is when the CRM shows it, at a pace that a large company's telephones make: alone, and
beside another CRM that is dead.
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

from bench.answer import Answer, BenchError, Figure
from bench.load import Connection, request, run
from bench.server import ENGINE, Server, scratch, serving

RATE: Final = 200
QUESTION: Final = f"How long from event sent to row in the CRM at {RATE} events/s?"
_EVENTS: Final = 3_000
_QUICK_EVENTS: Final = 600
_CONNECTIONS: Final = 16
_WARM_UP: Final = 100
"""The first events find connections and caches cold, and are not counted."""

_LOOK_SECONDS: Final = 0.0005
_PATIENCE_SECONDS: Final = 10.0
_DEAD: Final = """
[destinations.dead]
client = "supabase"
url = "http://127.0.0.1:{port}"
key = "none"
"""
_NEW_ROWS: Final = "SELECT rowid, call_id FROM calls WHERE rowid > ?"

Moments = dict[str, float]
"""`perf_counter` by the call's id."""


def answer(*, quick: bool) -> Answer:
    """Each event begins a call, so that a row appears for it; the CRM's file is looked at all the time."""
    events = _QUICK_EVENTS if quick else _EVENTS
    alone = _waits(events)
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, and never answers
        beside = _waits(events, besides=_DEAD.format(port=deaf.getsockname()[1]))
    return Answer(
        QUESTION,
        (*_figures("alone", alone), *_figures("beside a dead CRM", beside)),
        f"{len(alone):,} events each, each a call of its own, {ENGINE}",
    )


def _waits(events: int, *, besides: str = "") -> list[float]:
    """How long each event took, in ms."""
    with scratch() as folder, serving(folder, besides=besides) as server:
        sent, seen = run(_measure(server, events))
    return [1000 * (seen[call] - moment) for call, moment in list(sent.items())[_WARM_UP:]]


def _figures(of: str, waits: list[float]) -> tuple[Figure, Figure]:
    cuts = quantiles(waits, n=100, method="inclusive")
    return Figure(f"{of}: p50", cuts[49], "ms"), Figure("p95", cuts[94], "ms")


async def _measure(server: Server, events: int) -> tuple[Moments, Moments]:
    """When each event was sent, and when its row was seen."""
    lines = [await Connection.open(server) for _ in range(_CONNECTIONS)]
    await lines[0].post(request(_body("first", datetime.now(UTC))))  # so that the CRM's file is there
    server.wait_until_delivered()
    sent: Moments = {}
    turns = _turns(events, time.perf_counter())
    looking = asyncio.create_task(_look(server, events))
    async with asyncio.TaskGroup() as workers:
        for line in lines:
            workers.create_task(_work(line, turns, sent))
    seen = await looking
    for line in lines:
        await line.close()
    return sent, seen


def _turns(events: int, start: float) -> Iterator[tuple[str, float]]:
    """The calls, and the moment at which each is to be sent."""
    for index in range(events):
        yield f"bench-{index}", start + index / RATE


async def _work(line: Connection, turns: Iterator[tuple[str, float]], sent: Moments) -> None:
    for call, moment in turns:
        await asyncio.sleep(moment - time.perf_counter())
        prepared = request(_body(call, datetime.now(UTC)))
        sent[call] = time.perf_counter()
        await line.post(prepared)


async def _look(server: Server, events: int) -> Moments:
    seen: Moments = {}
    last, give_up_at = 1, time.monotonic() + events / RATE + _PATIENCE_SECONDS
    with closing(sqlite3.connect(f"{server.crm.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        while len(seen) < events:
            for row, call in connection.execute(_NEW_ROWS, (last,)).fetchall():
                seen[call] = time.perf_counter()
                last = max(last, row)
            if time.monotonic() > give_up_at:
                raise BenchError(f"only {len(seen)} of {events} calls reached the CRM")
            await asyncio.sleep(_LOOK_SECONDS)
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
