"""What more processes bring: workers on one SQLite file, and relays on one PostgreSQL."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from bench.crms import EmbeddedCrm, check_delivered
from bench.environment import Environment
from bench.ledgers import BenchLedger
from bench.load import build_requests, generate_calls_now, run, send
from bench.result import Result, Row
from bench.server import Server, serve

QUESTION: Final = "What do more processes bring?"
COLUMNS: Final = (
    "accepted/s",
    "p99 ms",
    "final s later",
    "events/s",
    "CPU µs/event",
    "CPU / bare",
    "PostgreSQL CPU µs/event",
    "MB",
)


class _Case(msgspec.Struct, frozen=True):
    """So many relays on one ledger, each with so many worker processes."""

    engine: str
    relays: int = 1
    workers: int = 1

    def __str__(self) -> str:
        number, noun = (self.workers, "worker") if self.relays == 1 else (self.relays, "relay")
        return f"{self.engine}, {number} {noun}{'s'[: number > 1]}"


_CASES: Final = (
    _Case("SQLite"),
    _Case("SQLite", workers=2),
    _Case("PostgreSQL"),
    _Case("PostgreSQL", workers=2),
    _Case("PostgreSQL", relays=2),
    _Case("PostgreSQL", relays=3),
)
_QUICK_CASES: Final = (_Case("SQLite", workers=2), _Case("PostgreSQL", relays=2))
_CALLS: Final = 4_000
_QUICK_CALLS: Final = 200
_CONNECTIONS: Final = 64
_WARM_UP_CALLS: Final = 100
_MB: Final = 1_000_000
_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Send the same events to each number of processes, and check every record."""
    calls = _QUICK_CALLS if environment.quick else _CALLS
    cases = _QUICK_CASES if environment.quick else _CASES
    return Result(
        "processes",
        QUESTION,
        f"All events of {calls:,} calls at full speed over {_CONNECTIONS} connections, spread over the "
        "relays, into one embedded CRM. Of two workers one accepts, and the other folds and delivers. Of "
        "several relays each accepts, and one folds and delivers. MB: after the load, resident, without "
        "PostgreSQL; pages that the processes of one relay share count once.",
        COLUMNS,
        tuple(_measure(environment, case, calls) for case in cases if environment.includes(str(case))),
    )


def _measure(environment: Environment, case: _Case, calls: int) -> Row:
    engine = environment.engine(case.engine)
    warm_up, sent_calls = generate_calls_now(_WARM_UP_CALLS, seed=0), generate_calls_now(calls)
    requests = build_requests(sent_calls)
    with engine.ledger() as ledger, ExitStack() as running:
        crm = EmbeddedCrm(ledger.folder)
        servers = [
            running.enter_context(
                serve(_folder(ledger, number), ledger.url, crm.settings, workers=case.workers)
            )
            for number in range(case.relays)
        ]
        run(send(servers, build_requests(warm_up), connections=_CONNECTIONS))
        ledger.wait_until_delivered()
        bare = environment.measure_bare(_CONNECTIONS)
        cpu, database_cpu = _cpu_seconds(servers), engine.cpu_seconds()
        sent = run(send(servers, requests, connections=_CONNECTIONS))
        lag = ledger.wait_until_delivered()
        cpu_per_event = (_cpu_seconds(servers) - cpu) / sent.requests
        database_cpu = engine.cpu_seconds() - database_cpu
        memory = sum(server.resident_bytes() for server in servers)
        check_delivered(crm, warm_up + sent_calls)
    figures = (
        sent.rate,
        sent.latency_ms(99),
        lag,
        sent.requests / (sent.seconds + lag),
        cpu_per_event * _MICROSECONDS,
        cpu_per_event / bare.cpu_seconds,
        database_cpu / sent.requests * _MICROSECONDS if case.engine == "PostgreSQL" else None,
        memory / _MB,
    )
    return Row(str(case), figures)


def _folder(ledger: BenchLedger, number: int) -> Path:
    folder = ledger.folder / f"relay-{number}"
    folder.mkdir()
    return folder


def _cpu_seconds(servers: list[Server]) -> float:
    return sum(server.cpu_seconds() for server in servers)
