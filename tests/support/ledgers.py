"""An open ledger for a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from relay.instants import Instant
from relay.ledger import Ledger


@asynccontextmanager
async def open_ledger(
    url: str, *, clock: Callable[[], Instant] | None = None, owner: str | None = None
) -> AsyncIterator[Ledger]:
    """Open a ledger during the block. `owner`: the identity of another process that uses it."""
    ledger = Ledger(url, clock=clock)
    if owner is not None:
        ledger.owner = owner
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()
