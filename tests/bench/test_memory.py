"""The memory of processes that share pages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]
import pytest

from bench.memory import resident_bytes

_MB = 1_000_000
_PROGRAM = """
import os, sys
content = bytearray(b"x" * 60_000_000)
if os.fork() == 0 and sys.argv[1] == "changes":
    content[::4096] = bytes(len(content[::4096]))
os.write(1, b"ready\\n")
sys.stdin.read()
"""


@contextmanager
def forked(what: str) -> Iterator[list[int]]:
    """Run a process of 60 MB and its fork, which changes its pages or not. Yield their ids."""
    command = [sys.executable, "-c", _PROGRAM, what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        yield [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
        process.communicate()


@pytest.mark.parametrize(("what", "least", "most"), [("shares", 60, 100), ("changes", 120, 160)])
def test_pages_that_a_fork_shares_count_once(what: str, least: int, most: int) -> None:
    with forked(what) as pids:
        assert len(pids) == 2
        assert least < resident_bytes(pids) / _MB < most


def test_the_memory_of_one_process_is_its_resident_set() -> None:
    resident = psutil.Process(os.getpid()).memory_info().rss
    assert resident_bytes([os.getpid()]) == pytest.approx(resident, rel=0.05)


def test_a_process_that_has_ended_counts_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert resident_bytes([process.pid]) == 0
