"""Time limits of blocks of code that wait for a sender.

It does what `asyncio.timeout_at` does, but all blocks of a process share one timer: a timer for each body
would cost more than the rest of its admission.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, cast

CHECK_SECONDS: Final = 0.1
"""How often the deadlines of all blocks are checked."""


class Timed(Protocol):
    """The request that a block belongs to. It may extend its deadline while the block runs."""

    block: "TimedBlock | None"
    """The block that runs now. The block itself sets it."""

    @property
    def deadline(self) -> float:
        """The time of the event loop at which the block is interrupted."""

    def check_not_evicted(self) -> None:
        """Raises `Evicted` if the request interrupted its block before the deadline."""


class TimedBlock:
    """Context manager that interrupts the task that runs it, after the deadline or by `interrupt`.

    An interruption is a cancellation of the task, which ends here as `TimeoutError` or `Evicted`.
    """

    def __init__(self, request: Timed, deadlines: "Deadlines") -> None:
        self._request = request
        self._deadlines = deadlines
        self._is_interrupted = False

    def __enter__(self) -> None:
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._request.block = self
        self._deadlines.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raises `TimeoutError`, or `Evicted`."""
        self._request.block = None
        self._deadlines.remove(self)
        # `uncancel` leaves a cancellation by the server in force.
        was_interrupted = self._is_interrupted and self._task.uncancel() <= self._cancelling
        is_own_cancellation = was_interrupted and kind is asyncio.CancelledError
        # Without an error too: the eviction may have come when the block had nothing left to wait for.
        if is_own_cancellation or error is None:
            self._request.check_not_evicted()
        if is_own_cancellation:
            raise TimeoutError from error

    def check_deadline(self, now: float) -> None:
        """Interrupt the block if its sender was too slow."""
        if now >= self._request.deadline:
            self.interrupt()

    def interrupt(self) -> None:
        """Interrupt the block, once, if it still runs."""
        if self._request.block is self and not self._is_interrupted:
            self._is_interrupted = True
            self._task.cancel()


class Deadlines:
    """The blocks that run now, and the one timer that checks them. It runs only while there are blocks.

    `now` returns the time of the event loop.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._blocks: set[TimedBlock] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, block: TimedBlock) -> None:
        """Called by a block when it begins."""
        self._blocks.add(block)
        if self._timer is None:
            self._start_timer()

    def remove(self, block: TimedBlock) -> None:
        """Called by a block at its end."""
        self._blocks.remove(block)

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        self._timer = None
        now = self._now()
        for block in self._blocks:
            block.check_deadline(now)
        if self._blocks:
            self._start_timer()
