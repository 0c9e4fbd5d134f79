"""How long a person waits for a page of the console, with a million calls in the ledger."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Final
from urllib.parse import urlencode

import msgspec

from bench.console_client import TOKEN, ConsoleClient, signed_in
from bench.crms import EmbeddedCrm
from bench.day import Day, fold_day
from bench.environment import Environment
from bench.history import EVENTS_OF_LONGEST, fill_history
from bench.ledgers import BenchLedger, LedgerEngine
from bench.load import percentile_ms
from bench.result import BenchError, Result, Row
from bench.server import serve
from relay.instants import Instant
from relay.ledger.call_candidates import CallKey
from relay.ledger.quarantine import MAX_BODIES
from relay.operations.call_list import format_cursor

QUESTION: Final = "How long does a person wait for a page of the console?"
COLUMNS: Final = ("SQLite median ms", "SQLite p95 ms", "PostgreSQL median ms", "PostgreSQL p95 ms")
_ENGINES: Final = ("SQLite", "PostgreSQL")
_SETTINGS: Final = f"""
[console]
tokens = ["{TOKEN}"]
[privacy]
events_days = 36500
calls_days = 36500
"""
"""Retention would delete calls while pages are measured."""

_P95: Final = 95
_TAIL: Final = 4


class Size(msgspec.Struct, frozen=True):
    """How much is measured. `visits`: to each page."""

    calls_of_day: int
    days: int
    visits: int

    @property
    def calls(self) -> int:
        """The number of calls in the ledger."""
        return self.calls_of_day * self.days


_SIZE: Final = Size(2_000, 500, 20)
_QUICK_SIZE: Final = Size(400, 10, 3)


class Visit(msgspec.Struct, frozen=True):
    """A page. `finds`: whether a list shows calls; None: it is no list of calls."""

    case: str
    path: str
    finds: bool | None = None


class Known(msgspec.Struct, frozen=True):
    """What the pages are asked for. `number`: of one call of all; `cursor`: of a page in the middle."""

    longest: str
    number: str
    cursor: str
    day: str


def measure(environment: Environment) -> Result:
    """Fill a ledger of each engine with the same calls, and visit the pages of a relay."""
    size = _QUICK_SIZE if environment.quick else _SIZE
    chosen = [visit.case for visit in list_visits(Known("", "", "", "")) if environment.includes(visit.case)]
    figures: dict[str, list[float]] = {case: [] for case in chosen}
    if chosen:
        day = fold_day(size.calls_of_day)
        for name in _ENGINES:
            _measure_engine(environment.engine(name), day, size, figures)
    return Result(
        "pages",
        QUESTION,
        f"{size.calls:,} calls in {size.days} days, each with a delivery; {size.calls // 20:,} are dead "
        f"letters. The quarantine is full. {size.visits} visits to each page, one after the other over one "
        "connection, from the request to the last byte of the page. A visit before them does not count: the "
        "first overview after a start waits until the totals are counted. The relay has one process and does "
        "nothing else.",
        COLUMNS,
        tuple(Row(case, tuple(values)) for case, values in figures.items()),
    )


def _measure_engine(engine: LedgerEngine, day: Day, size: Size, figures: Mapping[str, list[float]]) -> None:
    """Append the median and p95 of each case that has a list. Raises `BenchError`."""
    with engine.ledger() as ledger:
        known = _know(ledger, fill_history(ledger, day, size.days), day, size)
        settings = EmbeddedCrm(ledger.folder).settings + _SETTINGS
        with serve(ledger.folder, ledger.url, settings) as server, signed_in(server) as console:
            for visit in list_visits(known):
                if visit.case in figures:
                    _check(console, visit)
                    seconds = console.measure(visit.path, size.visits)
                    figures[visit.case] += [1_000 * median(seconds), percentile_ms(seconds, _P95)]


def _check(console: ConsoleClient, visit: Visit) -> None:
    """Check that a list shows calls if it should. Raises `BenchError`."""
    if visit.finds is not None and (console.count_calls(visit.path) > 0) != visit.finds:
        raise BenchError(f"{visit.path} shows {'no' if visit.finds else 'a'} call")


def _know(ledger: BenchLedger, longest: str, day: Day, size: Size) -> Known:
    middle = datetime.fromisoformat(day.date) - timedelta(days=size.days // 2)
    [began_at] = ledger.column(
        f"SELECT began_at FROM call_keys ORDER BY began_at LIMIT 1 OFFSET {size.calls // 2}"  # noqa: S608 - a number
    )
    # A search for an end that begins with 00 would mean an international prefix.
    number = ledger.scalar("SELECT min(number) FROM calls WHERE number NOT LIKE '%00__'")
    return Known(longest, number, format_cursor(CallKey(Instant(began_at), "")), f"{middle:%Y-%m-%d}")


def list_visits(known: Known) -> list[Visit]:
    """Return each page and each kind of search."""
    dead = {"destination": "crm", "outcome": "rejected", "code": "23502"}
    searches: dict[str, dict[str, str]] = {
        "number that begins with +34": {"q": "+34"},
        "end of a number": {"q": known.number[-_TAIL:]},
        "a whole number": {"q": known.number},
        "one word of a name": {"q": "garcia"},
        "three words of a name": {"q": "jose angel garcia"},
        "a name with accents": {"q": "María Muñoz"},
        "agent": {"agent": "marta"},
        "status": {"status": "missed"},
        "direction": {"direction": "inbound"},
        "dead letters of a destination": {"destination": "crm", "delivery": "dead"},
        "a day": {"day": known.day},
        "frequent words and filters": {
            "q": "garcia",
            "agent": "marta",
            "direction": "inbound",
            "delivery": "delivered",
        },
    }
    return [
        Visit("overview", ""),
        Visit("calls", "calls", finds=True),
        Visit("calls, a page in the middle", _path("calls", after=known.cursor), finds=True),
        *(Visit(f"search: {name}", _path("calls", **query), finds=True) for name, query in searches.items()),
        Visit("search: no match", _path("calls", q="zzzzzz"), finds=False),
        Visit("to call back", "calls?view=unanswered"),
        Visit(f"a call with {EVENTS_OF_LONGEST} events", _path("call", id=known.longest)),
        Visit("dead letters", "dead-letters"),
        Visit("dead letters, a group", _path("dead-letters/kind", **dead)),
        Visit(f"quarantine, {MAX_BODIES:,} bodies", "quarantine"),
        Visit("quarantine, a reason", "quarantine/reason?reason=unknown_event"),
        Visit("set-up", "set-up"),
    ]


def _path(page: str, **query: str) -> str:
    return f"{page}?{urlencode(query)}"
