"""The CRMs that the measured relays deliver to. Each is the destination `crm`, and only its rows count."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Protocol

from bench.result import BenchError
from relay.simulator import SimulatedCall
from relay.simulator.demo import find_differences, read_crm_rows

_POLL_SECONDS: Final = 0.0005
_NEW_ROWS: Final = "SELECT rowid, call_id FROM calls WHERE rowid > ? ORDER BY rowid"


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

    settings = '[destinations.crm]\nclient = "local"\npath = "crm.db"\n'

    def __init__(self, folder: Path) -> None:
        self._path = folder / "crm.db"

    def rows(self) -> list[dict[str, Any]]:
        return read_crm_rows(self._path)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[list[str]]]:
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield self._poll(connection)

    async def _poll(self, connection: sqlite3.Connection) -> AsyncIterator[list[str]]:
        last_row = connection.execute("SELECT max(rowid) FROM calls").fetchone()[0]
        while True:
            if rows := connection.execute(_NEW_ROWS, (last_row,)).fetchall():
                last_row = rows[-1][0]
                yield [call for _, call in rows]
            await asyncio.sleep(_POLL_SECONDS)


def check_delivered(crm: Records, calls: Sequence[SimulatedCall]) -> None:
    """Raises `BenchError` if the CRM's records are not those of these calls: only correct rows count."""
    rows = crm.rows()
    if len(rows) != len(calls):
        raise BenchError(f"the CRM has {len(rows)} records of {len(calls)} calls")
    if differences := find_differences([call.expected for call in calls], rows):
        raise BenchError(f"{len(differences)} of {len(calls)} records are wrong: {differences[:1]}")
