"""The pushes of a delivery worker that are under way."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from relay.ledger.deliveries import DueDelivery


class PushesUnderWay:
    """Tasks that push a batch of deliveries each. `on_end` is called when one of them ends."""

    def __init__(self, name: str, on_end: Callable[[], None]) -> None:
        self._name = name
        self._on_end = on_end
        self._batches: dict[asyncio.Task[Any], Sequence[DueDelivery]] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def start(self, push: Coroutine[Any, Any, Any], batch: Sequence[DueDelivery]) -> None:
        """Run a push of these deliveries in a task of its own."""
        task = asyncio.create_task(push, name=self._name)
        self._batches[task] = batch
        task.add_done_callback(lambda _: self._on_end())

    def collect(self) -> None:
        """Remove the pushes that are over. Raises what one of them raised."""
        over = [push for push in self._batches if push.done()]
        for push in over:
            del self._batches[push]
        # All are read: asyncio logs an exception that nobody has read, as an error of the program.
        failures = [error for push in over if (error := push.exception()) is not None]
        if failures:
            raise failures[0]

    def find_busy(self) -> set[str]:
        """Return the ids of the calls that other tasks than the present one push.

        A task that settles its push does not count its own calls: they may be due again.
        """
        present = asyncio.current_task()
        others = (batch for push, batch in self._batches.items() if push is not present and not push.done())
        return {due.call.id for batch in others for due in batch}

    async def wait(self, seconds: float) -> None:
        """Wait until all pushes are over, but no longer than this."""
        if self._batches:
            await asyncio.wait(self._batches, timeout=seconds)

    async def cancel(self) -> list[Sequence[DueDelivery]]:
        """Cancel all pushes, and return their batches, which stay pending."""
        batches = dict(self._batches)
        for push in batches:
            push.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
        self._batches.clear()
        return list(batches.values())
