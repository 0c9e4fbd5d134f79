from collections.abc import AsyncIterator

import pytest

from tests.support.delivering import Delivering, delivering


@pytest.fixture
async def relay(ledger_url: str) -> AsyncIterator[Delivering]:
    async with delivering(ledger_url) as parts:
        yield parts
