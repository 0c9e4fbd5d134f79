"""The relays of a chaos run: real processes on fixed ports that are killed, frozen and started again."""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.relay import RelayProcess
from tests.support.servers import free_port

_START_ATTEMPTS: Final = 3


class ChaosRelay:
    """One relay. It always starts on the same port."""

    def __init__(self, folder: Path, ledger_url: str, destinations: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self._process = RelayProcess(folder, _settings(self.port, ledger_url, destinations))
        self.errors: Counter[str] = Counter()
        """The number of logged errors, by event and problem."""

    def start(self) -> None:
        """Start the relay as a supervisor does: again if it ends because its database is unavailable."""
        for _ in range(_START_ATTEMPTS):
            try:
                self._process.start()
            except (AssertionError, ValueError):  # it ended, or printed an error that is not JSON
                self.kill_if_running()
                self.errors[f"did not start: {self._process.log_path.read_text()[-300:]}"] += 1
                self._process.log_path.write_bytes(b"")
            else:
                return
        raise AssertionError(f"the relay does not start: {self.errors}")

    def kill(self) -> None:
        """End the relay with SIGKILL, as a power cut would."""
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
        code = self._process.stop()
        self._read_log()
        return code

    def _read_log(self) -> None:
        for line in self._process.log_lines():
            if line["level"] in {"error", "critical"}:
                problem = line.get("code") or line.get("error") or line.get("exception", "")[-300:]
                self.errors[f"{line['event']}: {problem}"] += 1
        self._process.log_path.write_bytes(b"")


@contextmanager
def running_relays(
    folder: Path, number: int, ledger_url: str, destinations: str
) -> Iterator[Sequence[ChaosRelay]]:
    """Run this number of relays on one ledger during the block."""
    relays = [ChaosRelay(folder / f"relay-{n}", ledger_url, destinations) for n in range(number)]
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
