"""A real relay in a process of its own: a test starts, stops and kills it, and reads its log."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used

from tests.support.patience import PATIENCE

T = TypeVar("T")

_READY: Final = {"server.ready", "worker.ready"}
"""The log events of processes that accept requests, and of those that only fold and deliver."""

_COMMANDS: Final = """
import contextlib, io, json, sys
from relay.cli.main import cli
printed = []
for command in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert not cli(command, standalone_mode=False), command
    printed.append(output.getvalue())
print(json.dumps(printed))
"""

WEBHOOK_PATH: Final = "/cloudtalk/webhook"


def eventually(read: Callable[[], T], condition: Callable[[T], bool], *, seconds: float = PATIENCE) -> T:
    """Call `read` until the condition is true of its value; return that value.

    Raises `AssertionError` with the last value after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if condition(value):
            return value
        assert time.monotonic() < deadline, f"still, after {seconds} s: {value!r}"
        time.sleep(0.02)


class RelayProcess:
    """`relay serve` with these settings, in this folder. The log is `relay.log` there.

    `workers`: its processes. With several, a supervisor is the process that is started and stopped.
    """

    def __init__(self, folder: Path, settings: str, workers: int = 1, /, **environment: str) -> None:
        self.folder = folder
        self._workers = workers
        self.log_path = folder / "relay.log"
        (folder / "settings.toml").write_text(settings)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("RELAY_")} | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self.url = ""
        self.listening: socket.socket | None = None
        """A socket that the process inherits as from systemd."""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the same settings and wait for its end."""
        return subprocess.run(  # noqa: S603 - fixed command
            self._command_line(*arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def commands(self, *commands: Sequence[str]) -> list[str]:
        """Run several commands one after the other in one process, and return what each printed.

        Raises `CalledProcessError` if one of them does not succeed.
        """
        options = ("--settings", str(self.folder / "settings.toml"))
        done = subprocess.run(  # noqa: S603 - fixed command
            [sys.executable, "-c", _COMMANDS],
            env=self._environment,
            input=json.dumps([[*options, *command] for command in commands]),
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return list(json.loads(done.stdout))

    def _command_line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "relay", "--settings", str(self.folder / "settings.toml"), *arguments]

    def start(self, *, open_files: int | None = None, address_space_kb: int | None = None) -> "RelayProcess":
        """Start the process with these limits, and wait until all its processes are ready."""
        limits = {"-n": open_files, "-v": address_space_kb}
        commands = "".join(f"ulimit {option} {limit}; " for option, limit in limits.items() if limit)
        if self.listening is not None:
            commands += f"export LISTEN_PID=$$ LISTEN_FDS=1; exec 3<&{self.listening.fileno()}; "
        # The shell sets the limits: `preexec_fn` is unsafe in a process with threads.
        limited = ["bash", "-c", f'{commands}exec "$@"', "bash"]
        self._log_offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self._open_output() as output:
            self._process = subprocess.Popen(  # noqa: S603 - fixed command
                [*limited, *self._command_line("serve", "--workers", str(self._workers))],
                stdout=output,
                stderr=output,
                env=self._environment,
                pass_fds=[] if self.listening is None else [self.listening.fileno()],
            )
        ready = eventually(self._ready_lines, lambda lines: len(lines) >= self._workers)
        self.url = next(line["url"] for line in ready if line["event"] == "server.ready")
        return self

    def _open_output(self) -> IO[bytes]:
        """Open what the process writes its log to; it ends up in the file `log_path`."""
        return self.log_path.open("ab")

    def _ready_lines(self) -> list[dict[str, Any]]:
        assert self.process.poll() is None, self.log_path.read_text()
        return [line for line in self.log_lines(self._log_offset) if line["event"] in _READY]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def log_lines(self, offset: int = 0) -> list[dict[str, Any]]:
        """Return the log lines after this offset. Raises `ValueError` for a line that is not JSON."""
        raw = self.log_path.read_bytes()[offset:]
        complete = raw[: raw.rfind(b"\n") + 1]
        return [json.loads(line) for line in complete.splitlines()]

    def kill(self) -> None:
        """End the process and its workers with SIGKILL, as a power cut would."""
        # To look for workers takes long on a busy machine, and the moment of a kill matters.
        workers = self.workers() if self._workers > 1 else []
        for process in (self.process, *workers):
            process.kill()
        self.process.wait(PATIENCE)
        psutil.wait_procs(workers)

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes: none if it is one process, or has ended."""
        return psutil.Process(self.process.pid).children() if self.process.poll() is None else []

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the process with a signal, as a supervisor does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(PATIENCE)

    def post(self, body: Any, **options: Any) -> httpx.Response:
        """Send this body to the webhook."""
        return httpx.post(self.url + WEBHOOK_PATH, json=body, timeout=PATIENCE, trust_env=False, **options)


@contextmanager
def running_relay(
    folder: Path, settings: str, workers: int = 1, /, **environment: str
) -> Iterator[RelayProcess]:
    """Run a relay during the block."""
    relay = RelayProcess(folder, settings, workers, **environment)
    try:
        yield relay.start()
    finally:
        if relay.process.poll() is None:
            relay.stop()


def crm_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Read the embedded CRM's table `calls`, by id; empty if there is none yet."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            return {}
        return {row["id"]: dict(row) for row in connection.execute("SELECT * FROM calls")}
