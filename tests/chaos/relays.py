"""The relays of a chaos run: real processes on fixed ports that are killed, frozen and started again."""

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from tests.support.relay import RelayProcess
from tests.support.servers import free_port

_START_ATTEMPTS: Final = 3
_LONGEST_ERROR: Final = 300


class ChaosRelay:
    """One relay. It always starts on the same port.

    `limits` are those of `RelayProcess.start`. `environment` are further variables.
    """

    def __init__(
        self,
        folder: Path,
        ledger_url: str,
        destinations: str,
        *,
        process: type[RelayProcess] = RelayProcess,
        limits: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        settings = _settings(self.port, ledger_url, destinations)
        self._process = process(folder, settings, **(environment or {}))
        self._limits = limits or {}
        self.peak_mb = 0.0
        """The most memory (RSS) that a process of this relay had."""
        self.errors: Counter[str] = Counter()
        """The number of logged errors, by event and problem."""

    @property
    def pid(self) -> int:
        return self._process.process.pid

    def command(self, *arguments: str) -> None:
        """Run a command of the relay, which must succeed."""
        result = self._process.command(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr

    def is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def start(self) -> None:
        """Start the relay as a supervisor does: again if it ends because its database is unavailable."""
        for _ in range(_START_ATTEMPTS):
            try:
                self._process.start(**self._limits)
            except (AssertionError, ValueError):  # it ended, or printed an error that is not JSON
                self.kill_if_running()
                self.errors[f"did not start: {self._process.log_path.read_text()[-300:]}"] += 1
                self._process.log_path.write_bytes(b"")
            else:
                return
        raise AssertionError(f"the relay does not start: {self.errors}")

    def kill(self) -> None:
        """End the relay with SIGKILL, as a power cut would."""
        self._read_memory()
        self._process.kill()
        self._read_log()

    def kill_if_running(self) -> None:
        if self._process.process.poll() is None:
            self._process.kill()

    def freeze(self) -> None:
        """Suspend the relay, as on a machine that hangs: it keeps its leases and connections."""
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End the relay with SIGTERM, as a supervisor does; return its exit code."""
        self._read_memory()
        code = self._process.stop()
        self._read_log()
        return code

    def _read_memory(self) -> None:
        self.peak_mb = max(self.peak_mb, read_status_mb(self.pid, "VmHWM"))

    def _read_log(self) -> None:
        for text in self._process.log_path.read_text(errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # the interpreter wrote it
                self.errors[text[:_LONGEST_ERROR]] += 1
                continue
            if line["level"] in {"error", "critical"}:
                problem = line.get("code") or line.get("error") or line.get("exception", "")[-_LONGEST_ERROR:]
                self.errors[f"{line['event']}: {problem}"] += 1
        self._process.log_path.write_bytes(b"")


def read_status_mb(pid: int, name: str) -> float:
    """Return a size in the status of a process in MB; 0 if the process has ended."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(rf"^{name}:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def running_relays(
    folder: Path, number: int, ledger_url: str, destinations: str, **options: Any
) -> Iterator[Sequence[ChaosRelay]]:
    """Run this number of relays on one ledger during the block. `options` are those of `ChaosRelay`."""
    relays = [ChaosRelay(folder / f"relay-{n}", ledger_url, destinations, **options) for n in range(number)]
    try:
        for relay in relays:
            relay.start()
        yield relays
    finally:
        for relay in relays:
            relay.kill_if_running()


def _settings(port: int, ledger_url: str, destinations: str) -> str:
    """Retries are fast: a run tests whether calls are delivered, not when."""
    return f"""
[server]
port = {port}
[ledger]
url = "{ledger_url}"
[delivery]
first_retry_seconds = 0.2
longest_retry_seconds = 2
{destinations}
"""
