"""A real relay, as a process of its own: started, spoken to, read, stopped and killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

T = TypeVar("T")

START_SECONDS: Final = 20.0
HOOK: Final = "/cloudtalk/webhook"


def eventually(look: Callable[[], T], holds: Callable[[T], bool], *, seconds: float = 10.0) -> T:
    """What `look` finds as soon as it holds; fails with what it found last."""
    give_up_at = time.monotonic() + seconds
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < give_up_at, f"still, after {seconds} s: {found!r}"
        time.sleep(0.02)


class RelayProcess:
    """`relay serve` on settings of the test's own, in a folder of the test's own."""

    def __init__(self, folder: Path, settings: str, **environment: str) -> None:
        self.folder = folder
        self.log_path = folder / "relay.log"
        (folder / "settings.toml").write_text(settings)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("RELAY_")} | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self.url = ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the same settings to its end."""
        return subprocess.run(  # noqa: S603 - our own command
            self._line(*arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "relay", "--settings", str(self.folder / "settings.toml"), *arguments]

    def start(self) -> "RelayProcess":
        """Start it and wait until it says that it is ready."""
        self._log_offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._line("serve"), stdout=log, stderr=log, env=self._environment
            )
        ready = eventually(self._ready, bool, seconds=START_SECONDS)
        self.url = ready[0]["url"]
        return self

    def _ready(self) -> list[dict[str, Any]]:
        assert self.process.poll() is None, self.log_path.read_text()
        return [line for line in self.log_lines(self._log_offset) if line["event"] == "server.ready"]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def log_lines(self, offset: int = 0) -> list[dict[str, Any]]:
        """Everything that it said, each line read as JSON: a line that is none fails the test."""
        raw = self.log_path.read_bytes()[offset:]
        complete = raw[: raw.rfind(b"\n") + 1]
        return [json.loads(line) for line in complete.splitlines()]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it as a supervisor would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(15)

    def post(self, body: Any, **options: Any) -> httpx.Response:
        """Send one event."""
        return httpx.post(self.url + HOOK, json=body, timeout=30, trust_env=False, **options)


@contextmanager
def running_relay(folder: Path, settings: str, **environment: str) -> Iterator[RelayProcess]:
    """A relay for the length of a test."""
    relay = RelayProcess(folder, settings, **environment)
    try:
        yield relay.start()
    finally:
        if relay.process.poll() is None:
            relay.stop()


def crm_rows(path: Path) -> dict[str, dict[str, Any]]:
    """The embedded CRM's table by id, as any tool reads it."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            return {}
        return {row["id"]: dict(row) for row in connection.execute("SELECT * FROM calls")}
