"""What a relay holds end to end: events at full speed until every record in the CRM is final."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.crms import Crm, EmbeddedCrm, check_delivered
from bench.environment import Environment
from bench.load import build_requests, generate_calls_now, run, send
from bench.result import Result, Row
from bench.server import serve

QUESTION: Final = "What does it hold end to end?"
COLUMNS: Final = ("accepted/s", "final s later", "events/s", "CPU µs/event", "CPU / bare")
_CALLS: Final = 11_400
_QUICK_CALLS: Final = 300
_CONNECTIONS: Final = 64
_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Send all events of the calls, wait until all are delivered, and compare every record of the CRM."""
    cases: dict[str, Callable[[Path], Crm]] = {
        "SQLite → PostgREST": lambda _: environment.postgrest_crm(),
        "SQLite → embedded CRM": EmbeddedCrm,
    }
    rows = [_measure_crm(environment, *case) for case in cases.items() if environment.includes(case[0])]
    calls = _QUICK_CALLS if environment.quick else _CALLS
    return Result(
        "end_to_end",
        QUESTION,
        f"All events of {calls:,} calls in the mission's dialect (2 to 3 each) at full speed over "
        f"{_CONNECTIONS} connections, until every record in the CRM is final. Every record is compared with "
        "what the simulated CloudTalk expects.",
        COLUMNS,
        tuple(rows),
    )


def _measure_crm(environment: Environment, case: str, create_crm: Callable[[Path], Crm]) -> Row:
    calls = generate_calls_now(_QUICK_CALLS if environment.quick else _CALLS)
    requests = build_requests(calls)
    with environment.sqlite.ledger() as ledger:
        crm = create_crm(ledger.folder)
        with serve(ledger.folder, ledger.url, crm.settings) as server:
            bare, cpu = environment.measure_bare(_CONNECTIONS), server.cpu_seconds()
            sent = run(send([server], requests, connections=_CONNECTIONS))
            lag = ledger.wait_until_delivered()
            cpu_per_event = (server.cpu_seconds() - cpu) / sent.requests
            check_delivered(crm, calls)
    figures = (
        sent.rate,
        lag,
        sent.requests / (sent.seconds + lag),
        cpu_per_event * _MICROSECONDS,
        cpu_per_event / bare.cpu_seconds,
    )
    return Row(case, figures)
