"""Who holds a lease: a process, told apart from a later one with the same number."""

import os
import socket
from pathlib import Path


def owner_name(*, many_hosts: bool = False) -> str:
    """This process: host, process id and start. Where several hosts meet, names may be doubled, and
    containers number their processes alike: the kernel and its namespace are named too.
    """
    pid = os.getpid()
    place = _kernel() if many_hosts else socket.gethostname()
    return f"{place}/{pid}/{_started(pid)}"


def is_gone(owner: str) -> bool:
    """Whether the owner ran on this host and runs no more. Owners on other hosts only run out."""
    place, pid, started = owner.rsplit("/", 2)
    return place in {socket.gethostname(), _kernel()} and _started(int(pid)) != started


def _kernel() -> str:
    """The host, its boot and the namespace of its process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}@{boot}.{namespace}"


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
