"""The conformance suite runs over every engine; what only one of them has stands in `test_engine.py`
and `test_query_plans.py`.
"""

from collections.abc import AsyncIterator

import pytest

from relay.ledger import Ledger
from tests.support.clock import Clock


@pytest.fixture
def url(ledger_url: str) -> str:
    """A ledger with nothing in it."""
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
