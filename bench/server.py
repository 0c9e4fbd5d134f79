"""The servers that are measured: real processes of the relay, and of the bare endpoint."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.cpu import cpu_seconds, tree
from bench.memory import resident_bytes
from bench.result import BenchError

SCRATCH: Final = Path("var")
"""Not /tmp: it may be in memory, where a commit costs nothing."""

_SETTINGS: Final = """\
[server]
port = 0
[ledger]
url = "{ledger_url}"
[log]
format = "json"
level = "info"
"""
_START_SECONDS: Final = 60.0
_START_POLL_SECONDS: Final = 0.001
_STOP_SECONDS: Final = 15.0


class Server:
    """A running server. `ready_seconds` is the time from its start until its ready line could be read."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, ready_seconds: float) -> None:
        self.pid = process.pid
        self.ready_seconds = ready_seconds
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 0

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes and threads since its start."""
        return cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Return the resident memory of all its processes; pages that they share count once."""
        return resident_bytes(process.pid for process in tree(self.pid))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a folder that is deleted at the end."""
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=SCRATCH) as folder:
        yield Path(folder)


@contextmanager
def serve(folder: Path, ledger_url: str, settings: str = "", *, workers: int = 1) -> Iterator[Server]:
    """Run a relay with these settings, which name its destinations. Its log is a file in this folder."""
    (folder / "settings.toml").write_text(_SETTINGS.format(ledger_url=ledger_url) + settings)
    with _running(relay_command(folder, "serve", "--workers", str(workers)), folder / "relay.log") as server:
        yield server


@contextmanager
def serve_bare(folder: Path) -> Iterator[Server]:
    """Run the bare endpoint of `bench.bare`."""
    with _running([sys.executable, "-m", "bench.bare"], folder / "bare.log") as server:
        yield server


def relay_command(folder: Path, *arguments: str) -> list[str]:
    """Use the console script next to this interpreter, as a user does."""
    relay = Path(sys.executable).with_name("relay")
    return [str(relay), "--settings", str(folder / "settings.toml"), *arguments]


def environment_of_relay() -> dict[str, str]:
    """Copy the environment without the settings of a relay that the user runs.

    Python may keep the bytecode of the relay, as for a user: else each start would compile it again.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("RELAY_") and key != "PYTHONDONTWRITEBYTECODE"
    }


@contextmanager
def _running(command: list[str], log_path: Path) -> Iterator[Server]:
    started = time.perf_counter()
    with log_path.open("ab") as log:
        offset = log_path.stat().st_size
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment_of_relay())  # noqa: S603 - fixed
    try:
        url = _wait_until_ready(process, log_path, offset)
        yield Server(process, url, time.perf_counter() - started)
    finally:
        _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", log_path: Path, offset: int) -> str:
    """Return the URL that the process logs when it is ready. Raises `BenchError`."""
    deadline = time.monotonic() + _START_SECONDS
    with log_path.open("rb") as log:
        log.seek(offset)
        output = b""
        while time.monotonic() < deadline and process.poll() is None:
            output += log.read()
            for line in output.splitlines(keepends=True):
                if line.endswith(b"\n") and (url := _ready_url(line)):
                    return url
            time.sleep(_START_POLL_SECONDS)
    raise BenchError(f"the server did not start; its log:\n{log_path.read_text(errors='replace')}")


def _ready_url(line: bytes) -> str | None:
    """Return the URL if the line is the relay's `server.ready`, or the one line of the bare endpoint."""
    if line.startswith(b"http://"):
        return line.decode().strip()
    return str(json.loads(line)["url"]) if b'"server.ready"' in line else None


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise BenchError(f"a server did not end within {_STOP_SECONDS:g} s after SIGTERM") from None
