"""How many events a relay accepts: by ledger, dialect of the events and number of connections."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Final

import msgspec

from bench.crms import EmbeddedCrm, check_delivered
from bench.environment import Environment
from bench.ledgers import BenchLedger
from bench.load import SIGNING_SECRET, Sent, build_requests, for_seconds, generate_calls_now, run, send
from bench.result import BenchError, Result, Row
from bench.server import Server, serve
from relay.simulator import SimulatedCall

QUESTION: Final = "How many events can it accept?"
COLUMNS: Final = ("events/s", "rate / bare", "p50 ms", "p99 ms", "CPU µs/event", "CPU / bare", "delivered/s")
EVENTS_PER_CALL: Final = {"mission": 2.6, "workflow": 5.8, "signed": 3.0}
"""The dialects, and how many events a call has on average."""

_CONNECTIONS: Final = (1, 64, 256)
_SECONDS: Final = 1.5
_MAX_RATE: Final = 10_000
_MAX_RATE_OF_CONNECTION: Final = 2_000
"""Events per second for which calls are prepared; a faster case ends before its time."""

_QUICK_SECONDS: Final = 0.3
_WARM_UP_CALLS: Final = 100
_WARM_UP_CONNECTIONS: Final = 16
_MICROSECONDS: Final = 1_000_000
_SIGNING: Final = f'[cloudtalk]\nsigning_secrets = ["{SIGNING_SECRET}"]\n'


class Case(msgspec.Struct, frozen=True):
    """A relay with this ledger and dialect. `folds`: it folds and delivers, too."""

    engine: str
    dialect: str
    folds: bool

    def __str__(self) -> str:
        work = "everything on" if self.folds else "accept only"
        return f"{self.engine}, {self.dialect}, {work}"

    def over(self, connections: int) -> str:
        """Return the name of this case with so many connections."""
        return f"{self}, {connections} connection{'s'[: connections > 1]}"


def measure(environment: Environment) -> Result:
    """Measure each case with all numbers of connections one after the other, on one ledger."""
    dialects = ("mission",) if environment.quick else EVENTS_PER_CALL
    connections = (64,) if environment.quick else _CONNECTIONS
    seconds = _QUICK_SECONDS if environment.quick else _SECONDS
    cases = [
        Case(engine, dialect, folds)
        for engine in ("SQLite", "PostgreSQL")
        for dialect in dialects
        for folds in (True, False)
    ]
    rows = [row for case in cases for row in measure_case(environment, case, connections, seconds)]
    return Result(
        "accept",
        QUESTION,
        f"The response is sent after the commit. {seconds:g} s at full speed in each case; the log, at level "
        "info, goes to a file. Everything on: the relay folds and delivers to an embedded CRM meanwhile, and "
        "CPU counts until the last call is delivered. Accept only: another process holds the lease of the "
        "fold. CPU: all threads and processes of the relay, without PostgreSQL. Bare: the endpoint of "
        "bench/bare.py, measured before each case over the same number of connections.",
        COLUMNS,
        tuple(rows),
    )


def measure_case(
    environment: Environment, case: Case, connections: Sequence[int], seconds: float
) -> Iterator[Row]:
    """Yield a row for each number of connections. Raises `BenchError` if an event or a record is missing."""
    chosen = [number for number in connections if environment.includes(case.over(number))]
    if not chosen:
        return
    settings = _SIGNING if case.dialect == "signed" else ""
    with (
        environment.engine(case.engine).ledger() as ledger,
        nullcontext() if case.folds else ledger.fold_held(),
    ):
        crm = EmbeddedCrm(ledger.folder)
        with serve(ledger.folder, ledger.url, settings + (crm.settings if case.folds else "")) as server:
            delivered = _warm_up(server, ledger, case)
            for number in chosen:
                calls = _generate_calls(case.dialect, number, seconds)
                row, sent = _measure_connections(environment, case, server, ledger, calls, number, seconds)
                delivered += calls[: sent.calls]
                yield row
            if case.folds:
                check_delivered(crm, delivered)


def _generate_calls(dialect: str, connections: int, seconds: float) -> list[SimulatedCall]:
    """Generate more calls than can be sent."""
    events = seconds * min(_MAX_RATE, connections * _MAX_RATE_OF_CONNECTION)
    return generate_calls_now(int(events / EVENTS_PER_CALL[dialect]) + 1, dialect=dialect, seed=connections)


def _warm_up(server: Server, ledger: BenchLedger, case: Case) -> list[SimulatedCall]:
    """Send calls that are not measured: connections, imports and caches are cold."""
    calls = generate_calls_now(_WARM_UP_CALLS, dialect=case.dialect, seed=0)
    run(send([server], build_requests(calls), connections=_WARM_UP_CONNECTIONS))
    if case.folds:
        ledger.wait_until_delivered()
    return calls


def _measure_connections(
    environment: Environment,
    case: Case,
    server: Server,
    ledger: BenchLedger,
    calls: Sequence[SimulatedCall],
    connections: int,
    seconds: float,
) -> tuple[Row, Sent]:
    requests = build_requests(calls)
    bare = environment.measure_bare(connections)
    stored, cpu = ledger.count_events(), server.cpu_seconds()
    sent = run(send([server], for_seconds(seconds, requests), connections=connections))
    lag = ledger.wait_until_delivered() if case.folds else 0.0
    cpu_per_event = (server.cpu_seconds() - cpu) / sent.requests
    if (found := ledger.count_events() - stored) != sent.requests:
        raise BenchError(f"{case}: {sent.requests} events were acknowledged and {found} are in the ledger")
    figures = (
        sent.rate,
        sent.rate / bare.rate,
        sent.latency_ms(50),
        sent.latency_ms(99),
        cpu_per_event * _MICROSECONDS,
        cpu_per_event / bare.cpu_seconds,
        sent.requests / (sent.seconds + lag) if case.folds else None,
    )
    return Row(case.over(connections), figures), sent
