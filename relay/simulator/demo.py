"""A relay of one's own for a minute: real process, real HTTP, an embedded CRM in a scratch folder."""

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
    """The demo's relay did not do what it should; the message says what, and what its log says."""


class Demo:
    """The relay that was started, and its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "relay.log"
        self.crm = folder / "crm.db"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the relay, and end it afterwards."""
        settings = self.folder / "settings.toml"
        settings.write_text(_SETTINGS)
        command = [sys.executable, "-m", "relay", "--settings", str(settings), "serve"]
        # Settings of the caller's own relay must not reach this one.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
        with self.log.open("wb") as log:
            process = self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        try:
            self.url = self._ready_url(process)
            yield
        finally:
            _end(process)

    def _ready_url(self, process: subprocess.Popen[bytes]) -> str:
        give_up_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up_at and process.poll() is None:
            for line in self.log.read_text().splitlines():
                if '"server.ready"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(_POLL_SECONDS)
        raise DemoError(f"the relay did not start; its log says:\n{self.log.read_text()}")

    def wait(self) -> NoReturn:
        """Return never; raise `DemoError` should the relay end by itself."""
        code = self._process.wait() if self._process else None
        raise DemoError(f"the relay ended by itself with {code}; its log says:\n{self.log.read_text()}")

    async def records(self, expected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The CRM's records, once they are as expected. Raises `DemoError` where they do not become so."""
        give_up_at = time.monotonic() + _DELIVERY_SECONDS
        while differences := differing(expected, rows_of(self.crm)):
            if time.monotonic() > give_up_at:
                raise DemoError(f"{len(differences)} records are not as expected: {differences[:3]}")
            await asyncio.sleep(_POLL_SECONDS)
        return rows_of(self.crm)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def rows_of(crm: Path) -> list[dict[str, Any]]:
    """The table of an embedded CRM, as any tool would read it."""
    if not crm.exists():
        return []
    with closing(sqlite3.connect(f"{crm.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            return []  # the relay is just making it
        return [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY started_at, id")]


def differing(expected: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The expected records that do not stand so among the rows, nor only once."""
    by_id = {row["id"]: row for row in rows}
    wrong = [call for call in expected if not _stands(call, by_id.get(call["id"]))]
    return wrong or ([] if len(rows) == len(by_id) else [{"id": "more than one row for a call"}])


def _stands(call: dict[str, Any], row: dict[str, Any] | None) -> bool:
    if row is None:
        return False
    shown = call | {"status": DEFAULT_LABELS[Status(call["status"])]}
    return all(row[column] == value for column, value in shown.items())
