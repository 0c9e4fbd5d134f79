from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.ledger import Ledger
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger
from tests.support.operations import NOW


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW)) as ledger:
        yield ledger
