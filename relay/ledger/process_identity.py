"""The identity of a process, as the owner of a lease; another process with the same id has another one."""

import os
import socket
from pathlib import Path


def owner_name(*, many_hosts: bool = False, pid: int | None = None) -> str:
    """Return the identity of this process, or of another one of this host: host, process id, start.

    With `many_hosts` the host includes its boot id and process namespace: hosts may have the same name, and
    containers number their processes alike.
    """
    pid = os.getpid() if pid is None else pid
    host = _host_and_namespace() if many_hosts else socket.gethostname()
    return f"{host}/{pid}/{_start_of(pid)}"


def is_gone(owner: str) -> bool:
    """Return whether this owner ran on this host and has ended. Of other hosts nothing is known."""
    host, pid, start = owner.rsplit("/", 2)
    return host in {socket.gethostname(), _host_and_namespace()} and _start_of(int(pid)) != start


def _host_and_namespace() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}@{boot}.{namespace}"


def _start_of(pid: int) -> str:
    """Return the start of the process in clock ticks; without /proc only whether the process exists."""
    try:
        # The name of the command is in parentheses and may contain anything, spaces included.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends between open and read
        return _existence(pid)


def _existence(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "unknown"
    return "unknown"
