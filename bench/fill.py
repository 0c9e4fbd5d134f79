"""Large ledgers: the calls and events of a small one that a relay filled, copied with other ids."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from bench.ledgers import BenchLedger, sqlite_ledger
from bench.load import build_requests, generate_calls_now, run, send
from bench.server import serve
from relay.ledger.connection import connect
from relay.ledger.states import DeliveryState

BASE_CALLS: Final = 1_900
"""Of the small ledger, which has about 5 000 events."""

_SEED: Final = 99
_PREFIX: Final = f"sim-{_SEED:08x}-"
"""The beginning of the ids of the small ledger's calls; those of copy 5 begin with `sim-5-`."""

_CACHE_KIB: Final = 400_000
_CONNECTIONS: Final = 64
_IDS: Final = {
    "events": ("call",),
    "bodies": (),
    "aliases": ("alias", "call"),
    "calls": ("id", "state", "record"),
    "call_terms": ("call",),
    "call_keys": ("call",),
}
"""The columns of each table that contain ids of calls. A body keeps its ids: only `rebuild` reads it."""

_NUMBERED: Final = frozenset({"events", "bodies"})
_COPY: Final = """
WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < :copies)
INSERT INTO {table} ({columns}) SELECT {values} FROM copies CROSS JOIN {table} {condition}
"""
_ENQUEUE: Final = """
INSERT INTO deliveries (destination, call, state, version, delivered_version, pending_since, due_at, attempts,
                        failing_for)
SELECT 'crm', id, :state, version, iif(:state = 'delivered', version, 0), changed_at, changed_at, 0, 0
FROM calls
"""


@contextmanager
def base_ledger(calls: int) -> Iterator[BenchLedger]:
    """Let a relay without destinations accept and fold the events of so many calls."""
    with sqlite_ledger() as ledger:
        with serve(ledger.folder, ledger.url) as server:
            requests = build_requests(generate_calls_now(calls, seed=_SEED))
            run(send([server], requests, connections=_CONNECTIONS))
            ledger.wait_until_delivered()
        yield ledger


@contextmanager
def filled_ledger(
    base: BenchLedger, *, times: int, client: str, state: DeliveryState, events: bool = True
) -> Iterator[BenchLedger]:
    """Create a ledger with `times` as many calls as the small one, and a delivery of each to `crm`.

    `client`: of the destination. `state`: of all deliveries. `events`: whether the copies have events.
    """
    with sqlite_ledger() as ledger:
        with connect(base.engine) as connection:
            connection.driver.execute("VACUUM INTO ?", (str(ledger.folder / "relay.db"),))
        with closing(sqlite3.connect(ledger.folder / "relay.db")) as driver:
            _fill(driver, times - 1, client, state, events=events)
        yield ledger


def _fill(
    driver: sqlite3.Connection, copies: int, client: str, state: DeliveryState, *, events: bool
) -> None:
    """Write without a journal: no relay uses the file yet, and a benchmark that fails discards it."""
    driver.isolation_level = None
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
        driver.execute(f"PRAGMA {pragma}")
    driver.execute("BEGIN")
    if copies:
        for table, ids in _IDS.items():
            if events or table not in _NUMBERED:
                _copy(driver, table, ids, copies)
    driver.execute("INSERT INTO destinations (name, client) VALUES ('crm', ?)", (client,))
    driver.execute(_ENQUEUE, {"state": state})
    driver.execute("COMMIT")


def _copy(driver: sqlite3.Connection, table: str, ids: tuple[str, ...], copies: int) -> None:
    columns = [str(row[1]) for row in driver.execute(f"PRAGMA table_info({table})")]
    values = {column: f'"{column}"' for column in columns}
    values |= {column: f"replace(\"{column}\", :prefix, 'sim-' || n || '-')" for column in ids}
    parameters: dict[str, Any] = {"copies": copies, "prefix": _PREFIX}
    condition = ""
    if table in _NUMBERED:
        parameters["last"] = driver.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]  # noqa: S608
        values["seq"] = "seq + n * :last"
        condition = "WHERE seq <= :last"
    statement = _COPY.format(
        table=table,
        columns=", ".join(f'"{column}"' for column in columns),
        values=", ".join(values.values()),
        condition=condition,
    )
    driver.execute(statement, parameters)
