"""How much may be under way at once: requests, and the bytes of their bodies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_UNPROVEN_PART: Final = 4
"""Requests that have not proven who they are hold no more than a quarter of the places, so that strangers
cannot keep CloudTalk out."""


class Overloaded(Exception):
    """There is no place for this request just now; it may come again."""


class Place:
    """The place of one request."""

    def __init__(self, admission: "Admission", *, proven: bool) -> None:
        self._admission = admission
        self.proven = proven
        self.held = 0

    def hold(self, size: int) -> None:
        """So many more bytes of its body are kept in memory. Raises `Overloaded`."""
        self.held += size
        self._admission.hold(size)


class Admission:
    """The places of one process."""

    def __init__(self, *, requests: int, held_bytes: int) -> None:
        self._requests = requests
        self._bytes = held_bytes
        self._under_way = 0
        self._unproven = 0
        self._held = 0

    @contextmanager
    def place(self, *, proven: bool) -> Iterator[Place]:
        """A place for as long as the block lasts. Raises `Overloaded`.

        `proven`: the request showed already that it is CloudTalk's.
        """
        place = Place(self, proven=proven)
        self._under_way += 1
        self._unproven += not proven
        try:
            if self._under_way > self._requests:
                raise Overloaded("too many requests at once")
            if not proven and self._unproven > max(1, self._requests // _UNPROVEN_PART):
                raise Overloaded("too many requests at once that do not prove who they are")
            yield place
        finally:
            self._under_way -= 1
            self._unproven -= not proven
            self._held -= place.held

    def hold(self, size: int) -> None:
        """For `Place`."""
        self._held += size
        if self._held > self._bytes:
            raise Overloaded("too many bytes at once")
