"""Waiting for a wake-up or for a time, as the loop of a worker does after each round."""

import asyncio


class WakeUp:
    """An event for one task that waits for it, with a time limit.

    `asyncio.timeout` around an `asyncio.Event` does the same with four times the code per wait, and
    `asyncio.wait_for` of Python 3.11 loses a cancellation that comes together with the event.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Wake the task that waits, or the next one that would."""
        self._is_set = True
        self._end_wait()

    def clear(self) -> None:
        self._is_set = False

    async def wait(self, seconds: float) -> None:
        """Wait until it is set, or for this time. The caller clears it."""
        if self._is_set:
            return
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(seconds, self._end_wait)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _end_wait(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
