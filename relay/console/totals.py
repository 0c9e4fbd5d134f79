"""The totals of the overview, of which a large ledger takes a second to count."""

import asyncio
import time
from typing import Final

from relay.ledger import Ledger
from relay.operations.status import Totals, count_totals

LARGE: Final = 100_000
"""A ledger with more events than this is counted beside the pages; a smaller one for each page."""

KEPT_SECONDS: Final = 60
"""How old the totals of a large ledger may become until they are counted again."""


class TotalsReader:
    """Counts the totals for the pages. With a large ledger a page gets those of the last count, and starts
    the next count if that was long ago: only the first page after a start waits.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counted: Totals | None = None
        self._counted_at = 0.0
        self._count: asyncio.Task[Totals] | None = None

    async def get(self) -> Totals:
        """Return the totals. Raises `LedgerError` if the ledger cannot be read."""
        known = self._counted
        if known is None or known.accepted <= LARGE:
            return await asyncio.shield(self._start())
        if time.monotonic() - self._counted_at > KEPT_SECONDS:
            self._start()
        return known

    def _start(self) -> asyncio.Task[Totals]:
        if self._count is None:
            self._count = asyncio.create_task(self._count_now())
            self._count.add_done_callback(self._end)
        return self._count

    async def _count_now(self) -> Totals:
        counted = await self._ledger.view(count_totals)
        self._counted, self._counted_at = counted, time.monotonic()
        return counted

    def _end(self, count: asyncio.Task[Totals]) -> None:
        self._count = None
        if not count.cancelled():
            count.exception()  # a page that waits for the count shows it; the next page counts again
