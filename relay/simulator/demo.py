"""The demo's relay: a real process with an embedded CRM, in a temporary folder."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.simulator.relay_process import RelayProcess, environment_without_relay

_DELIVERY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1

_SETTINGS: Final = """\
[server]
port = 0

[log]
format = "json"

[destinations.crm]
client = "local"
path = "crm.db"
"""


class DemoError(Exception):
    """The records of the CRM are not as expected. The message says how they differ."""


class DemoRelay:
    """A relay with its settings, ledger and CRM in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: str = _SETTINGS,
        delivery_seconds: float = _DELIVERY_SECONDS,
    ) -> None:
        self.folder = folder
        self.log = folder / "relay.log"
        self.crm = folder / "crm.db"
        self._settings = settings
        self._delivery_seconds = delivery_seconds
        # Environment variables of the user's own relay must not change this one.
        self._process = RelayProcess(folder / "settings.toml", self.log, environment_without_relay())

    @property
    def url(self) -> str:
        """Where the relay listens."""
        return self._process.url

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the relay, and stop it at the end. Raises `RelayProcessError` if it does not start."""
        (self.folder / "settings.toml").write_text(self._settings)
        with self._process.running():
            yield

    def wait_for_exit(self) -> NoReturn:
        """Wait until an exception ends the demo. Raises `RelayProcessError` if the relay itself exits."""
        self._process.wait_for_exit()

    async def wait_for_records(self, expected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the CRM's rows once they match. Raises `DemoError` if they do not match in time."""
        deadline = time.monotonic() + self._delivery_seconds
        while differences := find_differences(expected, read_crm_rows(self.crm)):
            if time.monotonic() > deadline:
                raise DemoError(f"{len(differences)} records differ from what is expected: {differences[:3]}")
            await asyncio.sleep(_POLL_SECONDS)
        return read_crm_rows(self.crm)


def read_crm_rows(crm: Path) -> list[dict[str, Any]]:
    """Read the table `calls` of an embedded CRM; an empty list while there is no such table."""
    if not crm.exists():
        return []
    with closing(sqlite3.connect(f"{crm.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            return []
        return [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY started_at, id")]


def find_differences(
    expected: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the expected records that have no matching row; an empty list if all rows are right."""
    by_id = {row["id"]: row for row in rows}
    if differences := [call for call in expected if not _matches(call, by_id.get(call["id"]))]:
        return differences
    return [] if len(rows) == len(by_id) else [{"id": "more than one row for a call"}]


def _matches(call: dict[str, Any], row: dict[str, Any] | None) -> bool:
    if row is None:
        return False
    as_written = call | {"status": DEFAULT_LABELS[Status(call["status"])]}
    return all(row[column] == value for column, value in as_written.items())
