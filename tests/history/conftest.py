"""A fake CloudTalk with some calls of an afternoon, and a relay that folds when a test says so."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.cloudtalk.api import ApiAccess
from relay.history import api as api_module
from relay.history import reading
from relay.history.api import HistoryApi
from relay.ledger.request_limit import SharedRequestLimit
from tests.fakes.cloudtalk_history import FakeHistory, running_history
from tests.support.folding import FoldingRelay, folding_relay
from tests.support.history_calls import PastCall, past_calls

NEWEST = datetime(2024, 11, 28, 16, tzinfo=UTC)


@pytest.fixture
def calls() -> list[PastCall]:
    """Seven calls of an afternoon, a quarter of an hour apart, the newest first, each of another person."""
    return past_calls(7, NEWEST, seconds_apart=900, people=1_000)


@pytest.fixture
async def cloudtalk(calls: list[PastCall]) -> AsyncIterator[FakeHistory]:
    async with running_history(FakeHistory(call.row() for call in calls)) as fake:
        yield fake


@pytest.fixture
async def relay(tmp_path: Path, ledger_url: str) -> AsyncIterator[FoldingRelay]:
    async with folding_relay(tmp_path, ledger_url) as opened:
        yield opened


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows."""
    monkeypatch.setattr(api_module, "ROWS_PER_PAGE", 3)
    monkeypatch.setattr(reading, "ROWS_PER_PAGE", 3)


def open_api(cloudtalk: FakeHistory, limit: SharedRequestLimit) -> HistoryApi:
    """Return the API of the fake."""
    access = ApiAccess("id", "key-of-the-api", f"{cloudtalk.url}/api", f"{cloudtalk.url}/analytics")
    return HistoryApi(access, limit)


@pytest.fixture
async def history_api(
    cloudtalk: FakeHistory,
    relay: FoldingRelay,
    small_pages: None,  # noqa: ARG001 - a fixture
) -> AsyncIterator[HistoryApi]:
    """The API with three rows on a page."""
    opened = open_api(cloudtalk, SharedRequestLimit(relay.ledger, per_minute=60))
    yield opened
    await opened.aclose()
