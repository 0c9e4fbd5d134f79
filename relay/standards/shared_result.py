"""One result for all who ask within a short time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedResult(Generic[T]):
    """Runs `work` for the first who asks; all others within `interval_seconds` get the same result.

    `timeout_seconds`: how long one who asks waits. The work goes on meanwhile, for those who ask later.
    """

    def __init__(
        self, work: Callable[[], Awaitable[T]], *, interval_seconds: float, timeout_seconds: float
    ) -> None:
        self._work = work
        self._interval_seconds = interval_seconds
        self.timeout_seconds = timeout_seconds
        self._task: asyncio.Task[T] | None = None
        self._valid_until = 0.0

    async def get(self) -> T:
        """Return the result. Raises `TimeoutError`, and what `work` raises."""
        now = asyncio.get_running_loop().time()
        if self._task is None or (self._task.done() and now >= self._valid_until):
            self._valid_until = now + self._interval_seconds
            self._task = asyncio.ensure_future(self._work())
        task = self._task
        # A request that is cancelled must not cancel the work of the others.
        await asyncio.wait([task], timeout=self.timeout_seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
