"""The conformance suite runs over every engine; what only one of them has stands in `test_engine.py`
and `test_query_plans.py`.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from relay.ledger import Ledger
from tests.support.clock import Clock


def _sqlite(request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path")
    return f"sqlite:///{folder / 'relay.db'}"


_FRESH_DATABASE: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": _sqlite,
}
"""How each engine comes by a database of a test's own; the suite runs once for each line."""


@pytest.fixture(params=_FRESH_DATABASE)
def url(request: pytest.FixtureRequest) -> str:
    """A database with nothing in it."""
    return _FRESH_DATABASE[request.param](request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(url: str, clock: Clock) -> AsyncIterator[Ledger]:
    opened = Ledger(url, clock=clock)
    await opened.open()
    yield opened
    await opened.close()
