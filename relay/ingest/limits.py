"""Limits of concurrent requests and of the memory that their bodies use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_UNAUTHENTICATED_SHARE: Final = 4
"""Unauthenticated requests get at most a quarter of the capacity, so that they cannot block CloudTalk's."""


class Overloaded(Exception):
    """The relay has no capacity for this request now; the sender may repeat it."""


class AdmissionControl:
    """Admits requests to one process, up to a number of requests and of bytes in their bodies."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._max_unauthenticated = max(1, max_requests // _UNAUTHENTICATED_SHARE)
        self._requests = 0
        self._unauthenticated = 0
        self._bytes = 0

    @contextmanager
    def admit(self, *, authenticated: bool) -> Iterator["Permit"]:
        """Admit a request while the block runs. `authenticated`: its head is. Raises `Overloaded`."""
        permit = Permit(self)
        self._requests += 1
        self._unauthenticated += not authenticated
        try:
            if self._requests > self._max_requests:
                raise Overloaded("too many concurrent requests")
            if not authenticated and self._unauthenticated > self._max_unauthenticated:
                raise Overloaded("too many concurrent requests without authentication")
            yield permit
        finally:
            self._requests -= 1
            self._unauthenticated -= not authenticated
            self._bytes -= permit.reserved_bytes

    def reserve(self, size: int) -> None:
        """Called by `Permit.reserve`, which remembers the bytes to free."""
        self._bytes += size
        if self._bytes > self._max_bytes:
            raise Overloaded("too many bytes in concurrent requests")


class Permit:
    """The capacity of one admitted request."""

    def __init__(self, admission_control: AdmissionControl) -> None:
        self._admission_control = admission_control
        self.reserved_bytes = 0

    def reserve(self, size: int) -> None:
        """Reserve memory for more bytes of the body. Raises `Overloaded`."""
        self.reserved_bytes += size
        self._admission_control.reserve(size)
