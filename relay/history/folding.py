"""Fold what was imported, if no relay runs that does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from relay.fold import FoldWorker, fold_options
from relay.ledger import Ledger, destinations, journal
from relay.settings import Settings

_POLL_SECONDS: Final = 0.1


@asynccontextmanager
async def folding(settings: Settings, ledger: Ledger) -> AsyncIterator[FoldWorker]:
    """Fold during the block, whenever no relay does. Calls are enqueued for the CRMs of the settings."""
    clients = {name: destination.client for name, destination in settings.destinations.items()}
    await ledger.write(lambda connection: destinations.register(connection, clients))
    worker = FoldWorker(
        ledger, options=fold_options(settings), has_backlog=lambda: False, on_enqueue=lambda: None
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def wait_until_folded(ledger: Ledger, last_seq: int | None) -> None:
    """Wait until no event up to this number is new: each is folded, set aside or waits for its call."""
    if last_seq is None:
        return
    while await ledger.read(lambda connection: journal.has_new(connection, last_seq)):  # noqa: ASYNC110 - see below
        # Another process may fold: there is no event to wait for.
        await asyncio.sleep(_POLL_SECONDS)
