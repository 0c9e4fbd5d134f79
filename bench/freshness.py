"""How soon an event is in the CRM, at steady rates: from a small company to all that the relay can do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.crms import Crm, EmbeddedCrm
from bench.environment import Environment
from bench.load import build_request, percentile_ms, run, send
from bench.result import BenchError, Result, Row
from bench.server import Server, serve

QUESTION: Final = "How soon is it in the CRM?"
COLUMNS: Final = ("events", "p50 ms", "p95 ms", "p99 ms")
_RATES: Final = {10: 100, 200: 1_200, 1_000: 4_000}
"""Events per second, and how many events are measured."""

_QUICK_RATES: Final = {200: 100}
_CONNECTIONS: Final = 64
_WARM_UP: Final = 20
"""The first events of each rate, which are not counted: connections and caches are cold."""

_TIMEOUT_SECONDS: Final = 30.0


def measure(environment: Environment) -> Result:
    """Each event starts a call of its own, so that it gives a new row."""
    rows = [
        *_measure_crm(environment, "PostgREST", lambda _: environment.postgrest_crm()),
        *_measure_crm(environment, "embedded CRM", EmbeddedCrm),
    ]
    return Result(
        "freshness",
        QUESTION,
        f"From event sent to row visible in the CRM. Each event starts a call, over {_CONNECTIONS} "
        "connections; ledger: SQLite. An event that could not be sent in time, because no connection was "
        "free, counts from when it was due. PostgREST: PostgreSQL notifies of each row after its commit. "
        "Embedded CRM: its file is read every 0.5 ms, which takes CPU time from the relay.",
        COLUMNS,
        tuple(rows),
    )


def _measure_crm(environment: Environment, name: str, create_crm: Callable[[Path], Crm]) -> Iterator[Row]:
    rates = _QUICK_RATES if environment.quick else _RATES
    cases = {f"{name}, {rate:,} events/s": (rate, events) for rate, events in rates.items()}
    chosen = {case: rate for case, rate in cases.items() if environment.includes(case)}
    if not chosen:
        return
    with environment.sqlite.ledger() as ledger:
        crm = create_crm(ledger.folder)
        with serve(ledger.folder, ledger.url, crm.settings) as server:
            run(send([server], [[_request("first")]], connections=1))  # creates the CRM's file
            ledger.wait_until_delivered()
            for case, (rate, events) in chosen.items():
                yield _measure_rate(server, crm, rate, events, case)


def _measure_rate(server: Server, crm: Crm, rate: int, events: int, case: str) -> Row:
    latencies = run(_send_and_watch(server, crm, rate, events + _WARM_UP))[_WARM_UP:]
    percentiles = (percentile_ms(latencies, percent) for percent in (50, 95, 99))
    return Row(case, (len(latencies), *percentiles))


async def _send_and_watch(server: Server, crm: Crm, rate: int, events: int) -> list[float]:
    """Return the seconds from sending each event until its row was seen, in the order of sending."""
    calls = {_request(f"{rate}-{index}"): f"{rate}-{index}" for index in range(events)}
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}

    def note(request: bytes, sent_at: float) -> None:
        sent[calls[request]] = sent_at

    async with crm.watch() as new_rows:
        watcher = asyncio.create_task(_note_rows(new_rows, events, seen))
        requests = ([request] for request in calls)
        await send([server], requests, connections=_CONNECTIONS, rate=rate, on_send=note)
        await asyncio.wait([watcher], timeout=_TIMEOUT_SECONDS)
        if not watcher.done():
            watcher.cancel()  # the block cannot end while it waits for rows
            await asyncio.wait([watcher])
            raise BenchError(f"only {len(seen)} of {events} calls reached the CRM")
    return [seen[call] - sent_at for call, sent_at in sent.items()]


async def _note_rows(new_rows: AsyncIterator[list[str]], events: int, seen: dict[str, float]) -> None:
    """Note the time of each new row, until there is one for each event."""
    async for calls in new_rows:
        now = time.perf_counter()
        for call in calls:
            seen.setdefault(call, now)
        if len(seen) >= events:
            return


def _request(call: str) -> bytes:
    data: dict[str, Any] = {
        "id": call,
        "direction": "inbound",
        "from": "+34612345678",
        "to": "+34987654321",
        "contact_id": "contact-7",
        "contact_name": "Ana Ejemplo",
        "started_at": "2026-11-24T09:42:11Z",
    }
    return build_request(msgspec.json.encode({"event": "call.started", "data": data}))
