"""The relay that is measured: a real process `relay serve` in a folder of its own."""

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

from bench.result import BenchError

ENGINE: Final = f"SQLite {sqlite3.sqlite_version}, embedded CRM"
"""The ledger and the CRM of every server here."""

_SCRATCH: Final = Path("var")
"""Not /tmp: it may be in memory, where a commit costs nothing."""

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
_START_POLL_SECONDS: Final = 0.001
_STOP_SECONDS: Final = 15.0
_DELIVERY_SECONDS: Final = 60.0
_DELIVERY_POLL_SECONDS: Final = 0.02

# One statement reads one snapshot, and the fold writes an event and its delivery in one transaction. So
# there is no moment between the two in which nothing seems to be left.
_HAS_WORK_LEFT: Final = (
    "SELECT EXISTS (SELECT 1 FROM events WHERE state = 'new')"
    " OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND destination = 'crm')"
)


class Server:
    """A running relay. `ready_seconds` is the time from its start until its ready line could be read."""

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
        """Wait until every accepted event is delivered. Returns `perf_counter`; raises `BenchError`."""
        deadline = time.monotonic() + _DELIVERY_SECONDS
        with closing(_open_read_only(self.ledger)) as connection:
            while connection.execute(_HAS_WORK_LEFT).fetchone()[0]:
                if time.monotonic() > deadline:
                    raise BenchError(f"not everything was delivered within {_DELIVERY_SECONDS:g} s")
                time.sleep(_DELIVERY_POLL_SECONDS)
        return time.perf_counter()

    def read_crm_rows(self) -> list[dict[str, Any]]:
        with closing(_open_read_only(self.crm)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM calls")]


def _open_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a folder that is deleted at the end."""
    _SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_SCRATCH) as folder:
        yield Path(folder)


@contextmanager
def serve(folder: Path, *, more_settings: str = "") -> Iterator[Server]:
    """Run a relay with its ledger in this folder, which is created if it does not exist."""
    (folder / "settings.toml").write_text(_SETTINGS + more_settings)
    log_path = folder / "relay.log"
    started = time.perf_counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            _command(folder), stdout=log, stderr=log, env=_environment()
        )
    try:
        url = _wait_until_ready(process, log_path)
        yield Server(process, folder, url, time.perf_counter() - started)
    finally:
        _stop(process)


def _command(folder: Path) -> list[str]:
    """Use the console script next to this interpreter, as a user does."""
    relay = Path(sys.executable).with_name("relay")
    return [str(relay), "--settings", str(folder / "settings.toml"), "serve"]


def _environment() -> dict[str, str]:
    """Copy the environment without the settings of a relay that the user runs."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}


def _wait_until_ready(process: "subprocess.Popen[bytes]", log_path: Path) -> str:
    """Return the URL from the log event `server.ready`. Raises `BenchError`."""
    deadline = time.monotonic() + _START_SECONDS
    with log_path.open("rb") as log:
        output = b""
        while time.monotonic() < deadline and process.poll() is None:
            output += log.read()
            for line in output.splitlines(keepends=True):
                if b'"server.ready"' in line and line.endswith(b"\n"):
                    return str(json.loads(line)["url"])
            time.sleep(_START_POLL_SECONDS)
    raise BenchError(f"the relay did not start; its log:\n{log_path.read_text(errors='replace')}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise BenchError(f"the relay did not end within {_STOP_SECONDS:g} s after SIGTERM") from None
