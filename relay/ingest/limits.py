"""Limits of concurrent requests, of the memory that their bodies use, and of the time that they may take.

Requests that are not authenticated yet get a quarter of the places and of the bytes. If their quarter is
full, the next one gets in all the same, and the oldest one is evicted: of the address that exceeds its share
most, or of all if none does. How fast a body arrives does not count, because a stranger can choose any pace.
It cannot choose its age: an honest request is evicted only after newer ones have filled the whole quarter.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from relay.ingest.deadlines import Deadlines, TimedBlock
from relay.standards.addresses import network_of

GRACE_SECONDS: Final = 5
"""How long a sender may send nothing."""

MIN_BYTES_PER_SECOND: Final = 1024
"""A sender that is slower than this for longer than the grace occupies capacity that others need."""

LONGEST_SECONDS: Final = 30
"""How long a body may take at most."""

_UNAUTHENTICATED_SHARE: Final = 4

_ADDRESS_SHARE: Final = 16
"""An address that uses more than this part of the quarter loses its requests first. A smaller use is no
reason: else strangers with one request per address would evict a sender that has two."""


class Overloaded(Exception):
    """The relay has no capacity for this request now; the sender may repeat it."""


class Evicted(Overloaded):
    """The request was not authenticated yet, and another one needed its capacity."""


class Permit:
    """The capacity of one request, held while the context runs.

    A permit is unauthenticated or authenticated, then released. `authenticate` moves it from the first state
    to the second. Only an unauthenticated permit can be evicted, which releases it at once: the request may
    run on, but it holds nothing, and it fails at the next step that raises `Evicted`.

    The admission control sets `is_authenticated` and `reserved_bytes`, and calls `evict`. Requests call the
    other methods.
    """

    def __init__(
        self, admission_control: "AdmissionControl", address: str, *, authenticated: bool, now: float
    ) -> None:
        self._admission_control = admission_control
        self._latest_end = now + LONGEST_SECONDS
        self._next_bytes_by = now + GRACE_SECONDS
        self.address = address
        self.is_authenticated = authenticated
        self.is_evicted = False
        self.reserved_bytes = 0
        self.block: TimedBlock | None = None

    @property
    def deadline(self) -> float:
        """The time of the event loop at which the sender was too slow."""
        return min(self._next_bytes_by, self._latest_end)

    def __enter__(self) -> Self:
        """Raises `Overloaded`."""
        self._admission_control.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._admission_control.release(self)

    def until_deadline(self) -> TimedBlock:
        """Return a context manager that interrupts its block soon after the deadline."""
        return TimedBlock(self, self._admission_control.deadlines)

    def reserve(self, size: int) -> None:
        """Reserve memory for more bytes of the body. Raises `Overloaded`."""
        self._admission_control.reserve(self, size)

    def extend(self, size: int) -> None:
        """Extend the deadline, since the sender sent so many bytes and will send more."""
        latest = self._admission_control.now() + GRACE_SECONDS
        self._next_bytes_by = min(self._next_bytes_by + size / MIN_BYTES_PER_SECOND, latest)

    def authenticate(self) -> None:
        """Move the request out of the quarter of the unauthenticated ones. Raises `Evicted`."""
        self.check_not_evicted()
        self._admission_control.authenticate(self)

    def evict(self) -> None:
        """Interrupt the request if it waits for its sender."""
        self.is_evicted = True
        if self.block is not None:
            asyncio.get_running_loop().call_soon(self.block.interrupt)

    def check_not_evicted(self) -> None:
        """Raises `Evicted`."""
        if self.is_evicted:
            raise Evicted("too many concurrent requests without authentication")


class AdmissionControl:
    """Admits requests to one process, up to a number of requests and of bytes in their bodies.

    `now` returns the time of the event loop.
    """

    def __init__(
        self,
        *,
        max_requests: int,
        max_bytes: int,
        now: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self.now = now
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._max_unauthenticated = max(1, max_requests // _UNAUTHENTICATED_SHARE)
        self._max_unauthenticated_bytes = max_bytes // _UNAUTHENTICATED_SHARE
        self._authenticated = 0
        self._bytes = 0
        self._unauthenticated_bytes = 0
        self._unauthenticated: dict[Permit, None] = {}  # an ordered set: the oldest request is first
        self.deadlines = Deadlines(now)

    def permit(self, client: str | None, *, authenticated: bool) -> Permit:
        """Return a permit for a request from this address, which holds capacity as a context manager."""
        address = "" if authenticated else network_of(client or "")
        return Permit(self, address, authenticated=authenticated, now=self.now())

    def add(self, permit: Permit) -> None:
        """Called by a permit. Raises `Overloaded`, and then the permit holds nothing."""
        if permit.is_authenticated:
            self._authenticated += 1
        else:
            self._unauthenticated[permit] = None
        while len(self._unauthenticated) > self._max_unauthenticated:
            self._evict_oldest(permit, _count, self._max_unauthenticated)
        while self._authenticated + len(self._unauthenticated) > self._max_requests:
            if not self._evict_oldest(permit, _count, self._max_unauthenticated):
                self.release(permit)
                raise Overloaded("too many concurrent requests")

    def reserve(self, permit: Permit, size: int) -> None:
        """Called by a permit. A single body may exceed the quarter. Raises `Overloaded`."""
        if permit.is_evicted:
            return
        self._bytes += size
        permit.reserved_bytes += size
        if not permit.is_authenticated:
            self._unauthenticated_bytes += size
        while self._unauthenticated_bytes > self._max_unauthenticated_bytes:
            if not self._evict_oldest(permit, _reserved_bytes, self._max_unauthenticated_bytes):
                break
        while self._bytes > self._max_bytes:
            if not self._evict_oldest(permit, _reserved_bytes, self._max_unauthenticated_bytes):
                raise Overloaded("too many bytes in concurrent requests")

    def authenticate(self, permit: Permit) -> None:
        """Called by a permit."""
        if not permit.is_authenticated:
            del self._unauthenticated[permit]
            self._unauthenticated_bytes -= permit.reserved_bytes
            self._authenticated += 1
            permit.is_authenticated = True

    def release(self, permit: Permit) -> None:
        """Called by a permit; an evicted one was released before."""
        if permit.is_evicted:
            return
        self._bytes -= permit.reserved_bytes
        if permit.is_authenticated:
            self._authenticated -= 1
        else:
            del self._unauthenticated[permit]
            self._unauthenticated_bytes -= permit.reserved_bytes

    def _evict_oldest(self, newcomer: Permit, weigh: Callable[[Permit], int], quarter: int) -> bool:
        """Evict the oldest request, of the address that exceeds its share of the quarter most if one does.

        Returns False if no other request uses anything.
        """
        users = [permit for permit in self._unauthenticated if permit is not newcomer and weigh(permit)]
        if not users:
            return False
        used: defaultdict[str, int] = defaultdict(int)
        for permit in users:
            used[permit.address] += weigh(permit)
        most = max(used.values())
        share = quarter // _ADDRESS_SHARE
        # The requests are in the order of their arrival.
        oldest = users[0] if most <= share else next(p for p in users if used[p.address] == most)
        self.release(oldest)  # first: an evicted permit is not released again
        oldest.evict()
        return True


def _count(_: Permit) -> int:
    return 1


def _reserved_bytes(permit: Permit) -> int:
    return permit.reserved_bytes
