"""CPU time is compared with what the measured process itself counts."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.cpu import cpu_seconds

BUSY: Final = """
import sys, threading, time

def work(seconds):
    while time.thread_time() < seconds:
        pass

thread = threading.Thread(target=work, args=(0.05,))
thread.start()
thread.join()
work(0.05)
print(time.process_time(), flush=True)
sys.stdin.read()
"""
PARENT: Final = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}], stdin=subprocess.PIPE)
sys.stdin.read()
child.communicate()
"""


@contextmanager
def running(program: str) -> Iterator[tuple[int, float]]:
    """Run a program; yield its id and the CPU time that it printed."""
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    yield process.pid, float(process.stdout.readline())
    process.communicate()


def test_all_threads_count_also_those_that_have_ended() -> None:
    with running(BUSY) as (pid, counted):
        assert counted >= 0.1
        assert counted <= cpu_seconds(pid) <= counted + 0.02


def test_child_processes_count() -> None:
    with running(PARENT) as (pid, counted_by_child):
        assert cpu_seconds(pid) > counted_by_child


def test_a_process_that_waits_uses_none() -> None:
    with running(BUSY) as (pid, _):
        before = cpu_seconds(pid)
        assert cpu_seconds(pid) - before < 0.01
