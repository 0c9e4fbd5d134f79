"""The CRMs that the measured relays deliver to. Each is the destination `crm`, and only its rows count."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg

from bench.gateway import Gateway
from bench.result import BenchError
from relay.simulator import SimulatedCall
from relay.simulator.demo import find_differences, read_crm_rows
from tests.support.supabase import Supabase

_POLL_SECONDS: Final = 0.0005
_NEW_ROWS: Final = "SELECT rowid, call_id FROM calls WHERE rowid > ? ORDER BY rowid"

_NOTIFY_OF_ROWS: Final = """
create or replace function bench_rows() returns trigger language plpgsql as
$$ begin perform pg_notify('bench_rows', new.call_id); return null; end $$;
create trigger bench_rows after insert on calls for each row execute function bench_rows();
"""


class Records(Protocol):
    """What a CRM contains."""

    def rows(self) -> list[dict[str, Any]]:
        """Read all rows of the CRM, by the names of the canonical fields."""


class Crm(Records, Protocol):
    """A CRM for one relay. `settings`: the section of its destination."""

    settings: str

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[list[str]]]:
        """Yield the `call_id`s of new rows, as soon as they can be read, for the duration of the block."""


class EmbeddedCrm:
    """The embedded CRM, a file in this folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / "crm.db"
        self.settings = f'[destinations.crm]\nclient = "local"\npath = "{self._path}"\n'

    def rows(self) -> list[dict[str, Any]]:
        return [row | {"tags": json.loads(row["tags"])} for row in read_crm_rows(self._path)]

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[list[str]]]:
        with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
            yield self._poll(connection)

    async def _poll(self, connection: sqlite3.Connection) -> AsyncIterator[list[str]]:
        last_row = connection.execute("SELECT max(rowid) FROM calls").fetchone()[0]
        while True:
            if rows := connection.execute(_NEW_ROWS, (last_row,)).fetchall():
                last_row = rows[-1][0]
                yield [call for _, call in rows]
            await asyncio.sleep(_POLL_SECONDS)


class PostgrestCrm:
    """A Supabase project: a real PostgREST on a real PostgreSQL, with an empty table `calls`."""

    def __init__(self, project: Supabase, gateway: Gateway) -> None:
        self._project, self.gateway = project, gateway
        self.settings = (
            f'[destinations.crm]\nclient = "supabase"\nurl = "{gateway.url}"\nkey = "{project.legacy_key}"\n'
        )
        project.execute("truncate calls")

    @contextmanager
    def counting(self) -> Iterator[Callable[[], int]]:
        """Yield a function that returns the number of rows, over one connection."""
        with psycopg.connect(self._project.dsn, autocommit=True) as connection:
            yield lambda: int(connection.execute("select count(*) from calls").fetchall()[0][0])

    def rows(self) -> list[dict[str, Any]]:
        return [{name: _as_text(value) for name, value in row.items()} for row in self._project.rows()]

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[list[str]]]:
        """PostgreSQL sends a notification of a row after its commit, when it can be read."""
        self._project.execute(_NOTIFY_OF_ROWS)
        connection = await psycopg.AsyncConnection.connect(self._project.dsn, autocommit=True)
        async with connection, aclosing(connection.notifies()) as notifications:
            await connection.execute("listen bench_rows")
            yield ([notification.payload] async for notification in notifications)
        self._project.execute("drop trigger bench_rows on calls")


def _as_text(value: Any) -> Any:
    """Write a time as the canonical record does."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def check_delivered(crm: Records, calls: Sequence[SimulatedCall]) -> None:
    """Raises `BenchError` if the CRM's records are not those of these calls: only correct rows count."""
    rows = crm.rows()
    if len(rows) != len(calls):
        raise BenchError(f"the CRM has {len(rows)} records of {len(calls)} calls")
    if differences := find_differences([call.expected for call in calls], rows):
        raise BenchError(f"{len(differences)} of {len(calls)} records are wrong: {differences[:1]}")
