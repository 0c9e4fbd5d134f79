"""A relay in a process of its own, for commands that need one for a moment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.1
_READABLE_LOG: Final = {"RELAY__LOG__FORMAT": "json", "RELAY__LOG__LEVEL": "info"}
"""So that the log has the line with the URL."""


class RelayProcessError(Exception):
    """The relay failed. The message says how, and contains the relay's log."""


class RelayProcess:
    """The process `relay serve` with a settings file. It writes its log to the file `log`."""

    def __init__(
        self,
        settings: Path,
        log: Path,
        environment: Mapping[str, str],
        *,
        start_seconds: float = _START_SECONDS,
        stop_seconds: float = _STOP_SECONDS,
    ) -> None:
        self.url = ""
        self._command = [sys.executable, "-m", "relay", "--settings", str(settings), "serve"]
        self._log = log
        self._environment = dict(environment) | _READABLE_LOG
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the relay, and stop it at the end. Raises `RelayProcessError` if it does not start."""
        with self._log.open("wb") as log:
            process = self._process = subprocess.Popen(  # noqa: S603 - the command is fixed
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the command alone, which then stops the relay
            )
        try:
            self.url = self._wait_until_ready(process)
            yield
        finally:
            self._stop(process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline and process.poll() is None:
            for line in self._log.read_text().splitlines():
                if '"server.ready"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(_POLL_SECONDS)
        raise RelayProcessError(f"the relay did not start; its log:\n{self._log.read_text()}")

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_exit(self) -> NoReturn:
        """Wait until an exception ends the wait. Raises `RelayProcessError` if the relay itself exits."""
        code = self._process.wait() if self._process else None
        raise RelayProcessError(f"the relay exited with code {code}; its log:\n{self._log.read_text()}")


def environment_without_relay() -> dict[str, str]:
    """Return the environment without the variables of the user's own relay."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
