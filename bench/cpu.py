"""The CPU time that processes used, counted by the kernel for all their threads."""

import time
from contextlib import suppress

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of all its descendants that run, user and system, in seconds.

    Threads that have ended count. The difference of two calls is the cost of what happened between them.
    """
    return sum(_cpu_seconds(process.pid) for process in tree(pid))


def tree(pid: int) -> list["psutil.Process"]:
    """Return a process and its descendants."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _cpu_seconds(pid: int) -> float:
    """Read the CPU clock of a process, which is exact; `/proc/PID/stat` counts in steps of 10 ms.

    The number of the clock is the one that the C function `clock_getcpuclockid` returns on Linux.
    """
    with suppress(OSError):  # it has just ended
        return time.clock_gettime((~pid << 3) | 2)
    return 0.0
