"""Fixtures of the tests that fold bodies on a real ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.folding import FoldingRelay, folding_relay


@pytest.fixture
async def relay(tmp_path: Path, ledger_url: str) -> AsyncIterator[FoldingRelay]:
    async with folding_relay(tmp_path, ledger_url) as opened:
        yield opened
