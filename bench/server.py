"""The relay under measurement: a real `relay serve` in a folder of its own, ended by its pid."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench.answer import BenchError

ENGINE: Final = f"SQLite {sqlite3.sqlite_version}, embedded CRM"
"""What every server here runs on."""

_SCRATCH: Final = Path("var")
"""Beside the project, and not in /tmp: that may lie in memory, where a commit costs nothing."""

_SETTINGS: Final = """\
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[log]
format = "json"
[destinations.crm]
client = "local"
path = "crm.db"
"""
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.001
_DELIVERY_SECONDS: Final = 60.0
_DELIVERY_LOOK_SECONDS: Final = 0.02

# One statement is one snapshot, and an event is folded and its call owed in one transaction: so
# there is no moment between the two at which nothing would seem to be left.
_LEFT: Final = (
    "SELECT EXISTS (SELECT 1 FROM events WHERE state = 'new')"
    " OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND destination = 'crm')"
)


class Server:
    """A process that serves. `ready_seconds`: from its start until its ready line could be read."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", folder: Path, url: str, ready_seconds: float
    ) -> None:
        self.pid = process.pid
        self.crm = folder / "crm.db"
        self.ledger = folder / "relay.db"
        self.ready_seconds = ready_seconds
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 0

    def wait_until_delivered(self) -> float:
        """The moment (`perf_counter`) at which no accepted event was left that the CRM lacks."""
        give_up_at = time.monotonic() + _DELIVERY_SECONDS
        with closing(_open(self.ledger)) as connection:
            while connection.execute(_LEFT).fetchone()[0]:
                if time.monotonic() > give_up_at:
                    raise BenchError(f"not everything was delivered within {_DELIVERY_SECONDS:g} s")
                time.sleep(_DELIVERY_LOOK_SECONDS)
        return time.perf_counter()

    def records(self) -> list[dict[str, Any]]:
        """The CRM's table, as any tool reads it."""
        with closing(_open(self.crm)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM calls")]


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    _SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_SCRATCH) as folder:
        yield Path(folder)


@contextmanager
def serving(folder: Path, *, besides: str = "") -> Iterator[Server]:
    """A relay on this folder's ledger, a fresh one where there is none, for as long as the block runs.

    `besides`: settings of further destinations.
    """
    (folder / "settings.toml").write_text(_SETTINGS + besides)
    log_path = folder / "relay.log"
    started = time.perf_counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(_command(folder), stdout=log, stderr=log, env=_environment())  # noqa: S603 - ours
    try:
        url = _ready_url(process, log_path)
        yield Server(process, folder, url, time.perf_counter() - started)
    finally:
        _end(process)


def _command(folder: Path) -> list[str]:
    """What a person types: the console script beside this interpreter."""
    relay = Path(sys.executable).with_name("relay")
    return [str(relay), "--settings", str(folder / "settings.toml"), "serve"]


def _environment() -> dict[str, str]:
    """Ours, without the settings of a relay of the caller's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}


def _ready_url(process: "subprocess.Popen[bytes]", log_path: Path) -> str:
    give_up_at = time.monotonic() + _START_SECONDS
    with log_path.open("rb") as log:
        said = b""
        while time.monotonic() < give_up_at and process.poll() is None:
            said += log.read()
            for line in said.splitlines(keepends=True):
                if b'"server.ready"' in line and line.endswith(b"\n"):
                    return str(json.loads(line)["url"])
            time.sleep(_LOOK_SECONDS)
    raise BenchError(f"the relay did not start; it said:\n{log_path.read_text(errors='replace')}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise BenchError(f"the relay did not end within {_STOP_SECONDS:g} s of SIGTERM") from None
