"""What systemd, or another service manager with its protocol, passes to the relay and wants to know.

A socket unit listens in place of the relay and passes the socket on: connections wait in its queue while the
relay restarts, so nobody is refused. See sd_listen_fds(3) and sd_notify(3).
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

_FIRST_DESCRIPTOR: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_TCP: Final = (socket.AF_INET, socket.AF_INET6)
_EXPECTED: Final = (
    "expected a listening TCP socket; write an address and a port after ListenStream= in the unit"
)


class InheritedSocketError(Exception):
    """The service manager passed something else than one listening TCP socket. The message says what."""


def take_socket(environment: MutableMapping[str, str]) -> socket.socket | None:
    """Return the listening socket that the service manager passed to this process; None if there is none.

    Removes its variables from the environment: they concern no other process.
    Raises `InheritedSocketError`.
    """
    pid, number, _ = (environment.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or number in {"", "0"}:
        return None
    if number != "1":
        raise InheritedSocketError(
            f"expected one socket, found {number}; leave one ListenStream= in the unit"
        )
    try:
        inherited = socket.socket(fileno=_FIRST_DESCRIPTOR)
    except OSError as error:
        raise InheritedSocketError(
            f"{_EXPECTED} (descriptor {_FIRST_DESCRIPTOR}: {error.strerror})"
        ) from error
    if inherited.family not in _TCP or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.close()
        raise InheritedSocketError(_EXPECTED)
    inherited.set_inheritable(False)
    return inherited


def notify_ready() -> None:
    """Report to the service manager, if there is one, that requests are accepted.

    A manager that does not listen any more is no reason not to serve.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # a name of Linux that is in no folder
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        try:
            notification.sendto(b"READY=1", address)
        except OSError:
            return
