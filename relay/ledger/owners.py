"""Who holds a lease: a process, told apart from a later one with the same number."""

import os
import socket
from pathlib import Path


def owner_name() -> str:
    """This process: host, process id and start."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_started(pid)}"


def is_gone(owner: str) -> bool:
    """Whether the owner ran on this host and runs no more. Owners on other hosts only run out."""
    host, pid, started = owner.rsplit("/", 2)
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When the process started, in the kernel's ticks; without /proc only whether there is one."""
    try:
        # The command's name stands in parentheses and may hold anything, spaces included.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends between open and read
        return _alive(pid)


def _alive(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "unknown"
    return "unknown"
