"""A command on a real pseudo-terminal of 80 columns."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.patience import PATIENCE

COLUMNS: Final = 80
_PATIENCE_OF_A_PERSON: Final = 5.0
"""In seconds: when a person presses Ctrl-C again."""

_CONTROL: Final = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>78])")


class Terminal:
    """What a person sees and types."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._process = process
        self._read = ""
        self._seen = 0

    @property
    def text(self) -> str:
        """Everything that was printed, without colours and movements of the cursor."""
        return _CONTROL.sub("", self._read).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """The lines as they are at the end: a status is overwritten by what follows it."""
        return [line.rstrip("\r").rpartition("\r")[2] for line in self.text.split("\n")]

    def expect(self, expected: str) -> str:
        """Wait until this text is printed after what was expected before; return what is between them."""
        ends_at = time.monotonic() + PATIENCE
        while (found := self.text.find(expected, self._seen)) < 0:
            assert time.monotonic() < ends_at, f"no {expected!r} in:\n{self.text}"
            assert self._read_more(), f"ended without {expected!r}:\n{self.text}"
        between = self.text[self._seen : found]
        self._seen = found + len(expected)
        return between

    def type(self, text: str = "") -> None:
        """Type a line."""
        os.write(self._descriptor, f"{text}\n".encode())

    def interrupt(self) -> int:
        """Press Ctrl-C, every few seconds until the command ends; return its exit code.

        Python's readline loses a signal that arrives between its prompt and its wait for a key.
        """
        ends_at = time.monotonic() + PATIENCE
        while time.monotonic() < ends_at:
            os.write(self._descriptor, b"\x03")
            pressed_at = time.monotonic()
            while time.monotonic() < pressed_at + _PATIENCE_OF_A_PERSON:
                if not self._read_more():
                    return self._process.wait(PATIENCE)
        raise AssertionError(self.text)

    def wait(self) -> int:
        """Read until the command ends; return its exit code."""
        ends_at = time.monotonic() + PATIENCE
        while self._read_more():
            assert time.monotonic() < ends_at, self.text
        return self._process.wait(PATIENCE)

    def _read_more(self) -> bool:
        """Read what is printed within a second. Return whether the terminal is still open."""
        if not select.select([self._descriptor], [], [], 1)[0]:
            return True
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # the last process that had the terminal open has ended
            return False
        self._read += data.decode()
        return bool(data)


@contextmanager
def running_in_terminal(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run `relay` with these arguments in a terminal, which is also its controlling terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own command
        ["/usr/bin/setsid", "--ctty", "--wait", sys.executable, "-m", "relay", *arguments],
        cwd=folder,
        env={"TERM": "xterm", "PATH": os.environ["PATH"]} | dict(environment or {}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(master)
