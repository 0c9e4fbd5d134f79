"""The tests of the ledger run on every engine, except those of what only one engine has."""

from collections.abc import AsyncIterator

import pytest

from relay.ledger import Ledger, destinations
from tests.support.clock import Clock


@pytest.fixture
def url(ledger_url: str) -> str:
    """The URL of an empty ledger."""
    return ledger_url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(url: str, clock: Clock) -> AsyncIterator[Ledger]:
    opened = Ledger(url, clock=clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def two_destinations(ledger: Ledger) -> Ledger:
    """A ledger with the destinations `crm` and `other`."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    return ledger
