"""Ledgers as they are after years: the calls of one day, copied by SQL to each of the days before.

Each copy has other ids, other numbers of customers and another date, so that searches find as much as in a
real ledger. Events stay for the last month, as retention leaves them. A copy keeps the bodies of the first
day, and the instants in the join state, which no page shows.

`bench.fill` copies for another purpose, the figures of a relay that works on: all its calls are recent, all
their events stay, and their deliveries have one state. It is simple because it knows SQLite only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, text

from bench import history_sql
from bench.day import Day
from bench.ledgers import BenchLedger
from relay.ledger.clocks import wall_clock
from relay.ledger.engine import migrate
from relay.ledger.quarantine import MAX_BODIES
from relay.ledger.tables import metadata

EVENTS_OF_LONGEST: Final = 500
_EVENT_DAYS: Final = 30
_DAY_MICROSECONDS: Final = 86_400_000_000
_DIGITS: Final = 3
_DIGITS_STEP: Final = 7_919
"""Prime to 1000: the numbers of neighbouring days do not resemble each other."""

_TAIL: Final = 5
_NO_TEXT: Final = "\x7f"
"""A text that no call contains."""

_FILLED: Final = (
    "calls",
    "call_keys",
    "call_terms",
    "aliases",
    "events",
    "bodies",
    "deliveries",
    "delivered_counts",
    "quarantine",
)
_EMPTY_STATE: Final = '{"stamps":{},"seen":{},"facts":{},"data":{}}'
_SQLITE_SPEED: Final = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -400000",
)
_POSTGRES_SPEED: Final = (
    "SET statement_timeout = 0",
    "SET work_mem = '256MB'",
    "SET maintenance_work_mem = '512MB'",
)
"""Nobody uses the ledger yet, and a benchmark that fails discards it."""


def fill_history(ledger: BenchLedger, day: Day, days: int) -> str:
    """Write the copies of the day to an empty ledger, with a delivery of each call to the destination `crm`.

    The quarantine is full. Returns the id of the call with `EVENTS_OF_LONGEST` events more than others.
    """
    migrate(ledger.engine)
    with ledger.engine.connect() as connection:
        _speed_up(connection)
        with _without_indexes(connection):
            _fill(connection, day, days)
        longest = str(
            connection.execute(text("SELECT call FROM events ORDER BY seq DESC LIMIT 1")).scalar_one()
        )
        connection.commit()
    ledger.engine.dispose()  # the settings for speed end with their connection
    if ledger.engine.dialect.name == "postgresql":
        with ledger.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))
    return longest


def _speed_up(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        for pragma in _SQLITE_SPEED:
            driver.execute(pragma)
        return
    for setting in _POSTGRES_SPEED:
        connection.execute(text(setting))
    for table in _FILLED:
        connection.execute(text(f"ALTER TABLE {table} SET UNLOGGED"))


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Create the indexes after the data. SQLite keeps primary keys: they are its tables."""
    tables = [metadata.tables[name] for name in _FILLED]
    keyed = tables if connection.dialect.name == "postgresql" else []
    for index in (index for table in tables for index in table.indexes):
        index.drop(connection)
    for table in keyed:
        connection.execute(text(f"ALTER TABLE {table.name} DROP CONSTRAINT {table.name}_pkey"))
    yield
    for table in keyed:
        connection.execute(text(f"ALTER TABLE {table.name} ADD PRIMARY KEY ({_key_columns(table)})"))
    for index in (index for table in tables for index in table.indexes):
        index.create(connection)


def _key_columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key)


def _fill(connection: Connection, day: Day, days: int) -> None:
    for statement in history_sql.TEMPORARY_TABLES:
        connection.execute(text(statement))
    calls = enumerate(day.rows["calls"])
    _insert(connection, "keys", [_keys_of(row, place) for place, row in calls])
    _insert(connection, "copies", [_copy(day.date, number) for number in range(days)])
    _insert(connection, "numbers", [{"n": number} for number in range(1, MAX_BODIES + 1)])
    for table, rows in day.rows.items():
        connection.execute(text(f"CREATE TEMP TABLE day_{table} AS SELECT * FROM {table} WHERE 1 = 0"))  # noqa: S608 - fixed
        _insert(connection, f"day_{table}", rows)
    values = {
        "date": day.date,
        "last": max(row["seq"] for row in day.rows["events"]),
        "event_days": min(_EVENT_DAYS, days),
        "empty_state": _EMPTY_STATE,
        "events": EVENTS_OF_LONGEST,
        "bodies": MAX_BODIES,
        "now": wall_clock(),
    }
    connection.execute(text("INSERT INTO destinations (name, client) VALUES ('crm', 'local')"))
    for statement in (
        *history_sql.COPY,
        *history_sql.ENQUEUE,
        *history_sql.LONGEST,
        history_sql.QUARANTINE,
    ):
        clause = text(statement)
        connection.execute(clause, {name: values[name] for name in clause.compile().params})


def _insert(connection: Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        values = ", ".join(f":{name}" for name in rows[0])
        connection.execute(text(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({values})"), rows)  # noqa: S608 - fixed


def _keys_of(row: dict[str, Any], place: int) -> dict[str, Any]:
    """Return the texts of a call that its copies replace. An id of CloudTalk is a UUID and a number."""
    record = msgspec.json.decode(row["record"])
    id_ = row["id"].removeprefix("cloudtalk-")
    number = (row["number"] or "").removeprefix("+")
    tail = number[-_TAIL:] or _NO_TEXT
    return {
        "call": row["id"],
        "place": place,
        "id": id_,
        "id_rest": id_[4:],
        "call_id": (record["call_uuid"] and record["call_id"]) or _NO_TEXT,
        "number": number or _NO_TEXT,
        "number_reversed": number[::-1] or _NO_TEXT,
        "tail": tail,
        "tail_reversed": tail[::-1],
    }


def _copy(date: str, number: int) -> dict[str, Any]:
    digits = f"{number * _DIGITS_STEP % 10**_DIGITS:0{_DIGITS}}"
    return {
        "n": number,
        "shift": number * _DAY_MICROSECONDS,
        "date": f"{datetime.fromisoformat(date) - timedelta(days=number):%Y-%m-%d}",
        "hex": f"{number:04x}",
        "digits": digits,
        "digits_reversed": digits[::-1],
    }
