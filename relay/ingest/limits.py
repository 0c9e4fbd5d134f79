"""How much may be under way at once: requests, and the bytes of their bodies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_UNAUTHENTICATED_SHARE: Final = 4
"""Unauthenticated requests get at most a quarter of the capacity, so that strangers cannot keep CloudTalk
out."""


class Overloaded(Exception):
    """There is no permit for this request just now; it may come again."""


class Permit:
    """The permit of one request."""

    def __init__(self, admission_control: "AdmissionControl", *, authenticated: bool) -> None:
        self._admission_control = admission_control
        self.authenticated = authenticated
        self.held = 0

    def hold(self, size: int) -> None:
        """So many more bytes of its body are kept in memory. Raises `Overloaded`."""
        self.held += size
        self._admission_control.hold(size)


class AdmissionControl:
    """The places of one process."""

    def __init__(self, *, requests: int, held_bytes: int) -> None:
        self._requests = requests
        self._bytes = held_bytes
        self._under_way = 0
        self._unauthenticated = 0
        self._held = 0

    @contextmanager
    def admit(self, *, authenticated: bool) -> Iterator[Permit]:
        """A permit for as long as the block lasts. Raises `Overloaded`.

        `authenticated`: the request showed already that it is CloudTalk's.
        """
        permit = Permit(self, authenticated=authenticated)
        self._under_way += 1
        self._unauthenticated += not authenticated
        try:
            if self._under_way > self._requests:
                raise Overloaded("too many requests at once")
            if not authenticated and self._unauthenticated > max(1, self._requests // _UNAUTHENTICATED_SHARE):
                raise Overloaded("too many requests at once that do not prove who they are")
            yield permit
        finally:
            self._under_way -= 1
            self._unauthenticated -= not authenticated
            self._held -= permit.held

    def hold(self, size: int) -> None:
        """For `Permit`."""
        self._held += size
        if self._held > self._bytes:
            raise Overloaded("too many bytes at once")
