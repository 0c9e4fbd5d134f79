"""A relay stops although a thread of it hangs in a call that nothing interrupts, as on a frozen disk."""

import signal
import sys
from pathlib import Path

import pytest

from tests.support.relay import RelayProcess, eventually

# Threads with this name wait while the file `frozen` exists, like a system call on a frozen disk.
PROGRAM = """
import sys, threading, time
from pathlib import Path
from relay.standards import worker_thread

frozen, name = Path(sys.argv[1]), sys.argv[2]
run = worker_thread._run

def run_slowly(*job):
    while threading.current_thread().name.startswith(name) and frozen.exists():
        frozen.with_name("hanging").touch()
        time.sleep(0.01)
    run(*job)

worker_thread._run = run_slowly
from relay.server.stop_deadline import force_exit_later
force_exit_later.__kwdefaults__["seconds"] = 1.0
from relay.cli.main import main
sys.argv[1:] = sys.argv[3:]
main()
"""

SETTINGS = """
    [server]
    port = 0
    [ledger]
    url = "sqlite:///ledger.db"
    [destinations.embedded]
    client = "local"
    path = "crm.db"
"""


class RelayOnADisk(RelayProcess):
    """A relay whose threads with this name use a disk that can be frozen."""

    def __init__(self, folder: Path, thread: str, workers: int) -> None:
        super().__init__(folder, SETTINGS, workers)
        self.frozen = folder / "frozen"
        self._thread = thread

    def _command_line(self, *arguments: str) -> list[str]:
        settings = str(self.folder / "settings.toml")
        program = [sys.executable, "-c", PROGRAM, str(self.frozen), self._thread]
        return [*program, "--settings", settings, *arguments]


@pytest.mark.parametrize(
    ("thread", "workers", "by", "code"),
    [
        ("ledger-", 1, signal.SIGTERM, 0),
        ("local-", 1, signal.SIGINT, 130),
        ("ledger-", 2, signal.SIGTERM, 0),
    ],
)
def test_a_signal_ends_the_relay_without_the_threads_that_hang(
    tmp_path: Path, thread: str, workers: int, by: signal.Signals, code: int
) -> None:
    relay = RelayOnADisk(tmp_path, thread, workers)
    relay.start()
    try:
        relay.post({"event": "call.started", "data": {"id": "1"}}).raise_for_status()
        relay.frozen.touch()
        if thread == "local-":
            relay.post({"event": "call.ended", "data": {"id": "1"}}).raise_for_status()
        eventually((tmp_path / "hanging").exists, bool)
        assert relay.stop(by) == code
    finally:
        relay.frozen.unlink()
        relay.kill()
    lines = [line for line in relay.log_lines() if line["event"] == "server.exit_forced"]
    assert lines
    assert any(name.startswith(thread) for line in lines for name in line["threads"])
