"""Writes log lines on a thread of its own, so that a reader of the log that hangs does not stop the relay."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from io import RawIOBase
from queue import Empty, SimpleQueue
from typing import Final

_MAX_BYTES: Final = 4 * 1024 * 1024
"""The limit of the lines that wait: about 15 000."""

_BATCH_BYTES: Final = 4096
"""Lines are written together up to this size. The system does not mix a write of this size with those of
other processes that use the same pipe."""


class BackgroundWriter:
    """Writes lines in their order. Lines that do not fit, or that cannot be written, are dropped and counted.

    `on_drop` is called on the thread with the number of dropped lines, as soon as lines can be written again.
    """

    def __init__(
        self, raw: RawIOBase, on_drop: Callable[[int], None], *, max_bytes: int = _MAX_BYTES
    ) -> None:
        self._raw = raw
        self._on_drop = on_drop
        self._max_bytes = max_bytes
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the child has no copy of the thread

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._lines = SimpleQueue[bytes | threading.Event]()
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
            self._lines.put(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait until all lines are written, at most this long."""
        if self._thread is not None:
            flushed = threading.Event()
            self._lines.put(flushed)
            flushed.wait(seconds)

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        for batch in self._batches():
            self._write_batch(batch)

    def _batches(self) -> Iterator[list[bytes]]:
        """Wait for lines, and yield those that wait together. Events are set once the earlier lines are
        written.
        """
        batch: list[bytes] = []
        size = 0
        while True:
            try:
                item = self._lines.get(block=not batch)
            except Empty:
                yield batch
                batch, size = [], 0
                continue
            if batch and (isinstance(item, threading.Event) or size + len(item) > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            if isinstance(item, threading.Event):
                item.set()
            else:
                batch.append(item)
                size += len(item)

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
