"""The demo's relay: a real process with an embedded CRM, in a temporary folder."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 15.0
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
    """The demo's relay failed. The message says how, and contains the relay's log."""


class DemoRelay:
    """The process `relay serve` and its files."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: str = _SETTINGS,
        stop_seconds: float = _STOP_SECONDS,
        delivery_seconds: float = _DELIVERY_SECONDS,
    ) -> None:
        self.folder = folder
        self.log = folder / "relay.log"
        self.crm = folder / "crm.db"
        self.url = ""
        self._settings = settings
        self._stop_seconds = stop_seconds
        self._delivery_seconds = delivery_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the relay, and stop it at the end. Raises `DemoError` if it does not start."""
        settings_path = self.folder / "settings.toml"
        settings_path.write_text(self._settings)
        command = [sys.executable, "-m", "relay", "--settings", str(settings_path), "serve"]
        # Environment variables of the user's own relay must not change this one.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
        with self.log.open("wb") as log:
            process = self._process = subprocess.Popen(  # noqa: S603 - the command is fixed
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        try:
            self.url = self._wait_until_ready(process)
            yield
        finally:
            self._stop(process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            for line in self.log.read_text().splitlines():
                if '"server.ready"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(_POLL_SECONDS)
        raise DemoError(f"the relay did not start; its log:\n{self.log.read_text()}")

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_exit(self) -> NoReturn:
        """Wait until an exception ends the demo. Raises `DemoError` if the relay itself exits."""
        code = self._process.wait() if self._process else None
        raise DemoError(f"the relay exited with code {code}; its log:\n{self.log.read_text()}")

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
