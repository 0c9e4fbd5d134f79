"""Writes log lines on a thread of its own, so that a reader of the log that hangs does not stop the relay."""

import os
import select
import threading
from collections.abc import Callable
from io import RawIOBase
from typing import Final

_MAX_BYTES: Final = 4 * 1024 * 1024
"""The limit of the lines that wait: about 15 000."""

_BATCH_BYTES: Final = 4096
"""Lines are written together up to this size. The system does not mix a write of this size with those of
other processes that use the same pipe."""

_PAUSE_SECONDS: Final = 0.02
"""After a write the thread collects lines for this long: to wake it for each line costs more than to build
the line."""


class BackgroundWriter:
    """Writes lines in their order. Lines that do not fit, or that cannot be written, are dropped and counted.

    The first line after a pause is written at once, those of the next `pause` (in seconds) together.
    `on_drop` is called on the thread with the number of dropped lines, as soon as lines can be written again.
    """

    def __init__(
        self,
        raw: RawIOBase,
        on_drop: Callable[[int], None],
        *,
        max_bytes: int = _MAX_BYTES,
        pause: float = _PAUSE_SECONDS,
    ) -> None:
        self._raw = raw
        self._on_drop = on_drop
        self._max_bytes = max_bytes
        self._pause = pause
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the child has no copy of the thread

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[bytes | threading.Event] = []
        self._has_waiting = threading.Event()
        self._flush_requested = threading.Event()
        self._size = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._is_torn = False

    def write(self, line: bytes) -> None:
        """Queue one line, which ends in a newline."""
        with self._lock:
            if self._size + len(line) > self._max_bytes:
                self._dropped += 1
                return
            self._size += len(line)
            self._append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait until all lines are written, at most this long."""
        if self._thread is not None:
            written = threading.Event()
            with self._lock:
                self._append(written)
                self._flush_requested.set()
            written.wait(seconds)

    def _append(self, item: bytes | threading.Event) -> None:
        self._waiting.append(item)
        if len(self._waiting) == 1:
            self._has_waiting.set()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._has_waiting.wait()
            self._write_waiting()
            self._flush_requested.wait(self._pause)

    def _write_waiting(self) -> None:
        """Write the lines that wait. Events among them are set once the lines before are written."""
        batch: list[bytes] = []
        size = 0
        for item in self._take_waiting():
            if batch and (isinstance(item, threading.Event) or size + len(item) > _BATCH_BYTES):
                self._write_batch(batch)
                batch, size = [], 0
            if isinstance(item, threading.Event):
                item.set()
            else:
                batch.append(item)
                size += len(item)
        if batch:
            self._write_batch(batch)

    def _take_waiting(self) -> list[bytes | threading.Event]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._has_waiting.clear()
            self._flush_requested.clear()
        return waiting

    def _write_batch(self, batch: list[bytes]) -> None:
        is_written = self._write_all(batch)
        with self._lock:
            self._size -= sum(map(len, batch))
            if not is_written:
                self._dropped += len(batch)
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._report(dropped)

    def _report(self, dropped: int) -> None:
        try:
            self._on_drop(dropped)
        except MemoryError:
            with self._lock:
                self._dropped += dropped

    def _write_all(self, batch: list[bytes]) -> bool:
        """Whether all of it was written: the disk may be full, the reader of a pipe gone, and there may
        be no memory. None of these may end the thread.
        """
        try:
            left = memoryview(b"".join([b"\n", *batch] if self._is_torn else batch))
            while left:
                written = self._raw.write(left)
                if written is None:  # another process made the pipe non-blocking
                    select.select([], [self._raw], [])
                else:
                    self._is_torn = True
                    left = left[written:]
        except (OSError, ValueError, MemoryError):
            return False
        self._is_torn = False
        return True
