"""Writing log lines on a thread: order, limits, readers that hang, faults of the file."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import FileIO, RawIOBase
from typing import Any

import pytest

from relay.logs.writer import BackgroundWriter

SECONDS = 20.0  # an upper limit on a busy machine, no test waits for so long


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    reading, writing = os.pipe()
    with FileIO(reading) as reader, FileIO(writing, "w") as output:
        yield reader, output


def test_lines_are_written_in_their_order(pipe: tuple[FileIO, FileIO]) -> None:
    reader, output = pipe
    writer = BackgroundWriter(output, print)
    lines = [b"%d\n" % number for number in range(2_000)]
    received: list[bytes] = []
    total = sum(map(len, lines))

    def read() -> None:
        while sum(map(len, received)) < total:
            received.append(reader.read(65_536) or b"")

    reading = threading.Thread(target=read)
    reading.start()
    for line in lines:
        writer.write(line)
    writer.flush(SECONDS)
    reading.join(SECONDS)
    assert b"".join(received) == b"".join(lines)


class Gate(RawIOBase):
    """A file whose writes wait until the gate is open, and fail while it is broken."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.written: list[bytes] = []
        self.error: Exception | None = None
        self.most = 1 << 20

    def write(self, data: Any) -> int:
        self.entered.set()
        self.gate.wait(SECONDS)
        if self.error and self.most == 0:
            raise self.error
        part = bytes(data)[: self.most]
        if self.error:  # the next write fails
            self.most = 0
        self.written.append(part)
        return len(part)


def test_lines_that_do_not_fit_are_dropped_and_counted() -> None:
    file, dropped, reported = Gate(), list[int](), threading.Event()

    def report(lines: int) -> None:
        dropped.append(lines)
        reported.set()

    writer = BackgroundWriter(file, report, max_bytes=30)
    for number in range(10):
        writer.write(b"line %02d..\n" % number)  # 10 bytes
    file.gate.set()
    assert reported.wait(SECONDS)
    writer.write(b"after\n")
    writer.flush(SECONDS)
    assert b"".join(file.written) == b"line 00..\nline 01..\nline 02..\nafter\n"
    assert dropped == [7]


def test_a_write_does_not_wait_for_a_reader_that_hangs() -> None:
    file = Gate()
    writer = BackgroundWriter(file, print)
    writer.write(b"1\n")
    assert file.entered.wait(SECONDS)
    for _ in range(100):
        writer.write(b"2\n")
    writer.flush(0.01)
    assert file.written == []
    file.gate.set()
    writer.flush(SECONDS)
    assert b"".join(file.written) == b"1\n" + b"2\n" * 100


def test_lines_that_wait_are_written_together_up_to_the_size_of_an_atomic_write() -> None:
    file = Gate()
    writer = BackgroundWriter(file, print)
    lines = [b"%d" % (number % 10) * 999 + b"\n" for number in range(9)]
    for line in lines:
        writer.write(line)
    writer.write(b"x" * 9_999 + b"\n")  # larger: it cannot be written atomically
    file.gate.set()
    writer.flush(SECONDS)
    assert b"".join(file.written) == b"".join(lines) + b"x" * 9_999 + b"\n"
    assert max(map(len, file.written[:-1])) == 4_000
    assert all(part.endswith(b"\n") for part in file.written)


def test_after_a_write_the_lines_of_a_pause_are_written_together_and_a_flush_ends_the_pause() -> None:
    file = Gate()
    file.gate.set()
    writer = BackgroundWriter(file, print, pause=10 * SECONDS)
    writer.write(b"first\n")
    writer.flush(SECONDS)
    for number in range(5):
        writer.write(b"%d\n" % number)
    assert file.written == [b"first\n"]
    writer.flush(SECONDS)
    assert file.written == [b"first\n", b"0\n1\n2\n3\n4\n"]


def test_lines_are_written_after_a_pause_without_a_flush() -> None:
    file = Gate()
    file.gate.set()
    writer = BackgroundWriter(file, print, pause=0.001)
    for _ in range(3):
        file.entered.clear()
        writer.write(b"line\n")
        assert file.entered.wait(SECONDS)


def test_lines_after_a_full_disk_start_on_a_new_line() -> None:
    file, dropped = Gate(), list[int]()
    writer = BackgroundWriter(file, dropped.append)
    file.gate.set()
    file.error, file.most = OSError(28, "No space left on device"), 3
    writer.write(b"first\n")
    writer.write(b"second\n")
    writer.flush(SECONDS)
    file.error, file.most = None, 1 << 20
    writer.write(b"third\n")
    writer.flush(SECONDS)
    assert b"".join(file.written) == b"fir\nthird\n"
    assert sum(dropped) == 2


def test_a_pipe_without_reader_drops_the_lines(pipe: tuple[FileIO, FileIO]) -> None:
    reader, output = pipe
    writer = BackgroundWriter(output, print)
    reader.close()
    for _ in range(3):
        writer.write(b"line\n")
        writer.flush(SECONDS)


def test_a_full_non_blocking_pipe_loses_no_line(pipe: tuple[FileIO, FileIO]) -> None:
    reader, output = pipe
    os.set_blocking(output.fileno(), False)
    writer = BackgroundWriter(output, print)
    line = b"x" * 999 + b"\n"
    for _ in range(200):  # a pipe holds 64 KiB
        writer.write(line)
    received = b""
    while len(received) < 200 * len(line):
        received += reader.read(65_536) or b""
    assert received == line * 200


FORK = """
import os, sys, time
from relay import logs
logs.configure("json", "info", "plain")
log = logs.get_logger("x")
log.info("parent")
pid = os.fork()
log.info("child" if pid == 0 else "parent again")
if pid == 0:
    logs.flush()
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_writes_its_own_lines_once_and_the_end_waits_for_the_lines() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, check=True, timeout=SECONDS)  # noqa: S603 - fixed command
    assert [done.stdout.count(b'"%s"' % name) for name in (b"parent", b"child", b"parent again")] == [1, 1, 1]
    assert done.stderr == b""


def test_the_thread_survives_a_lack_of_memory() -> None:
    file, dropped = Gate(), list[int]()
    file.gate.set()
    file.error, file.most = MemoryError(), 0
    reports = iter([MemoryError(), None])

    def report(lines: int) -> None:
        dropped.append(lines)
        if error := next(reports):
            raise error

    writer = BackgroundWriter(file, report)
    for number in range(3):
        writer.write(b"line %d\n" % number)
        writer.flush(SECONDS)
        file.error, file.most = None, 100
    assert file.written == [b"line 1\n", b"line 2\n"]
    assert dropped == [1, 1]
