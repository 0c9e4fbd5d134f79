"""What it costs to run a relay: memory, CPU time of each stage, the time of a start, and the disk."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

from bench.crms import EmbeddedCrm, check_delivered
from bench.environment import Environment
from bench.fill import filled_ledger
from bench.ledgers import BenchLedger
from bench.load import build_requests, generate_calls_now, run, send
from bench.parsing import measure_parsing
from bench.result import Result, Row
from bench.server import Server, serve
from bench.stages import measure_stages
from bench.table import about
from relay.ledger.connection import connect
from relay.ledger.states import DeliveryState

QUESTION: Final = "What does it cost to run?"
COLUMNS: Final = ("figure",)
_CALLS: Final = 5_000
_QUICK_CALLS: Final = 200
_PENDING_TIMES: Final = 530
_QUICK_PENDING_TIMES: Final = 5
"""How many calls are pending, as a multiple of the calls of the small ledger."""

_PENDING: Final = "SELECT count(*) FROM deliveries WHERE state = 'pending'"
_DISK_OF_EVENTS: Final = """
SELECT sum(pgsize) FROM dbstat
WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name IN ('events', 'bodies'))
"""
DISK_EVENT: Final = "disk, per event, without its call (bytes)"
DISK_CALL: Final = "disk, per call with one delivery, without events (bytes)"
_CONNECTIONS: Final = 64
_REST_SECONDS: Final = 10
_QUICK_REST_SECONDS: Final = 1
_STARTS: Final = 5
_QUICK_STARTS: Final = 1
_MEMORY_POLL_SECONDS: Final = 0.05
_MB: Final = 1_000_000
_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Measure with SQLite and the embedded CRM."""
    calls = _QUICK_CALLS if environment.quick else _CALLS
    with environment.sqlite.ledger() as ledger:
        memory = _measure_memory(ledger, calls, quick=environment.quick)
        disk = _measure_disk(ledger)
    with environment.sqlite.ledger() as ledger:
        stages = _measure_stages(environment, ledger, calls)
    pending = _measure_pending_memory(environment)
    return Result(
        "cost",
        QUESTION,
        "SQLite, embedded CRM. Memory: resident, of all processes; under load: the most while the "
        f"events of {calls:,} calls arrive at full speed over {_CONNECTIONS} connections. CPU: all threads "
        "and processes; each stage works alone, on the same events. Start: the median of several, until the "
        "log event server.ready. Disk: the ledger after a vacuum; events are kept for a month, calls for two "
        "years.",
        COLUMNS,
        (
            *memory,
            pending,
            *stages,
            *measure_parsing(quick=environment.quick),
            *_measure_starts(environment),
            *disk,
        ),
    )


# --- memory and disk ----------------------------------------------------------------------------


def _measure_memory(ledger: BenchLedger, calls: int, *, quick: bool) -> list[Row]:
    crm, sent = EmbeddedCrm(ledger.folder), generate_calls_now(calls)
    with serve(ledger.folder, ledger.url, crm.settings) as server:
        idle = server.resident_bytes()
        requests = build_requests(sent)
        with _peak_memory(server) as peak:
            run(send([server], requests, connections=_CONNECTIONS))
            ledger.wait_until_delivered()
        check_delivered(crm, sent)
        time.sleep(_QUICK_REST_SECONDS if quick else _REST_SECONDS)
        rested = server.resident_bytes()
    return [
        Row("memory, idle after the start (MB)", (idle / _MB,)),
        Row("memory, the most under load (MB)", (max(peak) / _MB,)),
        Row("memory, idle after the load (MB)", (rested / _MB,)),
    ]


def _measure_pending_memory(environment: Environment) -> Row:
    """Measure the most memory while a relay begins to deliver a large backlog, and events arrive."""
    times = _QUICK_PENDING_TIMES if environment.quick else _PENDING_TIMES
    calls = _QUICK_CALLS if environment.quick else _CALLS
    with filled_ledger(
        environment.base_ledger, times=times, client="local", state=DeliveryState.PENDING, events=False
    ) as ledger:
        requests = build_requests(generate_calls_now(calls))
        pending, settings = ledger.scalar(_PENDING), EmbeddedCrm(ledger.folder).settings
        with serve(ledger.folder, ledger.url, settings) as server, _peak_memory(server) as peak:
            run(send([server], requests, connections=_CONNECTIONS))
    return Row(f"memory, the most with {about(pending)} pending calls (MB)", (max(peak) / _MB,))


@contextmanager
def _peak_memory(server: Server) -> Iterator[list[int]]:
    """Add the resident memory to the list again and again during the block."""
    seen, end = [server.resident_bytes()], threading.Event()

    def watch() -> None:
        while not end.wait(_MEMORY_POLL_SECONDS):
            seen.append(server.resident_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def _measure_disk(ledger: BenchLedger) -> list[Row]:
    """Measure the ledger of a relay that has stopped."""
    events = ledger.count_events()
    bodies = ledger.scalar("SELECT sum(length(raw)) FROM bodies")
    with connect(ledger.engine) as connection:
        connection.execute_sql("VACUUM")
    size = ledger.scalar("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
    of_events = ledger.scalar(_DISK_OF_EVENTS)
    return [
        Row("disk, per event (bytes)", (size / events,)),
        Row("disk, of which compressed body (bytes)", (bodies / events,)),
        Row(DISK_EVENT, (of_events / events,)),
        Row(DISK_CALL, ((size - of_events) / ledger.scalar("SELECT count(*) FROM calls"),)),
    ]


# --- CPU ----------------------------------------------------------------------------------------


def _measure_stages(environment: Environment, ledger: BenchLedger, calls: int) -> list[Row]:
    stages = measure_stages(environment, ledger, calls)
    figures = {
        "accept": stages.accept.cpu_seconds,
        "fold": stages.fold.cpu_seconds,
        f"deliver ({1 / stages.events_per_call:.2f} calls an event)": stages.deliver_cpu_seconds,
        "all stages": stages.cpu_seconds,
        "bare endpoint": stages.bare_cpu_seconds,
    }
    return [Row(f"CPU per event, {name} (µs)", (each * _MICROSECONDS,)) for name, each in figures.items()]


# --- start --------------------------------------------------------------------------------------


def _measure_starts(environment: Environment) -> list[Row]:
    starts = _QUICK_STARTS if environment.quick else _STARTS
    new = [_start_new(environment) for _ in range(starts)]
    with environment.sqlite.ledger() as ledger:
        _start(ledger)
        existing = [_start(ledger) for _ in range(starts)]
    return [
        Row("start to ready, new ledger (s)", (median(new),)),
        Row("start to ready, existing ledger (s)", (median(existing),)),
    ]


def _start_new(environment: Environment) -> float:
    with environment.sqlite.ledger() as ledger:
        return _start(ledger)


def _start(ledger: BenchLedger) -> float:
    """Start a relay and stop it again. Returns the seconds until it was ready."""
    with serve(ledger.folder, ledger.url, EmbeddedCrm(ledger.folder).settings) as server:
        return server.ready_seconds
