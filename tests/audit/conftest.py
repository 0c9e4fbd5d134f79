"""The audit's tests run on every engine."""

from collections.abc import AsyncIterator

import pytest

from relay.ledger import Ledger, destinations
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(ledger_url: str, clock: Clock) -> AsyncIterator[Ledger]:
    """A ledger with the destination `crm`. Its clock is that of the test."""
    async with open_ledger(ledger_url, clock=clock) as opened:
        await opened.write(lambda c: destinations.register(c, {"crm": "fake"}))
        yield opened
