"""What more processes bring: workers on one SQLite file, and relays on one PostgreSQL."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.crms import EmbeddedCrm, check_delivered
from bench.environment import Environment
from bench.ledgers import BenchLedger, LedgerEngine
from bench.load import build_requests, generate_calls_now, run, send
from bench.result import Result, Row
from bench.server import Server, serve

QUESTION: Final = "What do more processes bring?"
COLUMNS: Final = ("accepted/s", "p99 ms", "final s later", "events/s", "CPU µs/event", "CPU / bare", "MB")
_CALLS: Final = 4_000
_QUICK_CALLS: Final = 200
_CONNECTIONS: Final = 64
_WARM_UP_CALLS: Final = 100
_MB: Final = 1_000_000
_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Send the same events to each number of processes, and check every record."""
    calls = _QUICK_CALLS if environment.quick else _CALLS
    workers = (2,) if environment.quick else (1, 2)
    relays = (2,) if environment.quick else (1, 2, 3)
    return Result(
        "processes",
        QUESTION,
        f"All events of {calls:,} calls at full speed over {_CONNECTIONS} connections, spread over the "
        "relays, into one embedded CRM. Only one process at a time folds, and only one delivers.",
        COLUMNS,
        (
            *(_measure(environment, environment.sqlite, calls, 1, number) for number in workers),
            *(_measure(environment, environment.postgres, calls, number, 1) for number in relays),
        ),
    )


def _measure(environment: Environment, engine: LedgerEngine, calls: int, relays: int, workers: int) -> Row:
    warm_up, sent_calls = generate_calls_now(_WARM_UP_CALLS, seed=0), generate_calls_now(calls)
    requests = build_requests(sent_calls)
    with engine.ledger() as ledger, ExitStack() as running:
        crm = EmbeddedCrm(ledger.folder)
        servers = [
            running.enter_context(serve(_folder(ledger, number), ledger.url, crm.settings, workers=workers))
            for number in range(relays)
        ]
        run(send(servers, build_requests(warm_up), connections=_CONNECTIONS))
        ledger.wait_until_delivered()
        bare, cpu = environment.measure_bare(_CONNECTIONS), _cpu_seconds(servers)
        sent = run(send(servers, requests, connections=_CONNECTIONS))
        lag = ledger.wait_until_delivered()
        cpu_per_event = (_cpu_seconds(servers) - cpu) / sent.requests
        memory = sum(server.resident_bytes() for server in servers)
        check_delivered(crm, warm_up + sent_calls)
    figures = (
        sent.rate,
        sent.latency_ms(99),
        lag,
        sent.requests / (sent.seconds + lag),
        cpu_per_event * _MICROSECONDS,
        cpu_per_event / bare.cpu_seconds,
        memory / _MB,
    )
    processes = f"{workers} worker{'s'[: workers > 1]}" if relays == 1 else f"{relays} relays"
    return Row(f"{engine.name}, {processes}", figures)


def _folder(ledger: BenchLedger, number: int) -> Path:
    folder = ledger.folder / f"relay-{number}"
    folder.mkdir()
    return folder


def _cpu_seconds(servers: list[Server]) -> float:
    return sum(server.cpu_seconds() for server in servers)
