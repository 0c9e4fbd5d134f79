"""The relays of a chaos: real processes on ports of their own, killed, stopped and started again."""

import signal
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.relay import RelayProcess

_STARTS: Final = 3


class ChaosRelay:
    """One relay, which always comes back on its port."""

    def __init__(self, folder: Path, ledger_url: str, destinations: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = _free_port()
        self._process = RelayProcess(folder, _settings(self.port, ledger_url, destinations))
        self.troubles: Counter[str] = Counter()
        """What the log calls an error, by event and problem; the rest of it is not kept."""

    def start(self) -> None:
        """Start it as a supervisor does: again, where it ends because its database is away."""
        for _ in range(_STARTS):
            try:
                self._process.start()
            except (AssertionError, ValueError):  # it ended, or what it says is no log but an error
                self.end()
                self.troubles[f"did not start: {self._process.log_path.read_text()[-300:]}"] += 1
                self._process.log_path.write_bytes(b"")
            else:
                return
        raise AssertionError(f"it does not start: {self.troubles}")

    def kill(self) -> None:
        """End it as a power cut would, wherever it is."""
        self._process.kill()
        self._read_log()

    def end(self) -> None:
        """See that it runs no more, whatever became of it."""
        if self._process.process.poll() is None:
            self._process.kill()

    def freeze(self) -> None:
        """Stop it as a machine that hangs would: it holds what it holds, and will go on."""
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it as a supervisor would; its exit code."""
        code = self._process.stop()
        self._read_log()
        return code

    def _read_log(self) -> None:
        for line in self._process.log_lines():
            if line["level"] in {"error", "critical"}:
                problem = line.get("code") or line.get("error") or line.get("exception", "")[-300:]
                self.troubles[f"{line['event']}: {problem}"] += 1
        self._process.log_path.write_bytes(b"")


@contextmanager
def relays(folder: Path, number: int, ledger_url: str, destinations: str) -> Iterator[Sequence[ChaosRelay]]:
    """So many relays on one ledger, ended with the block."""
    all_of = [ChaosRelay(folder / f"relay-{n}", ledger_url, destinations) for n in range(number)]
    try:
        for relay in all_of:
            relay.start()
        yield all_of
    finally:
        for relay in all_of:
            relay.end()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _settings(port: int, ledger_url: str, destinations: str) -> str:
    """Retries soon: what is tested is whether, not when."""
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
