"""Requests for CloudTalk's history, against a fake that is as strict as the real one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.cloudtalk.api import ApiAccess
from relay.history.api import HistoryApi
from relay.history.errors import ApiFailure
from relay.history.windows import Window
from relay.instants import SECOND
from relay.ledger import Ledger
from relay.ledger.request_limit import SharedRequestLimit
from tests.fakes.cloudtalk_history import FakeHistory, running_history
from tests.support.clock import Clock
from tests.support.history import make_row
from tests.support.ledgers import open_ledger

DAY = 86_400 * SECOND
MIDNIGHT = 1_704_844_800 * SECOND  # 2024-01-10T00:00:00Z
WINDOW = Window(MIDNIGHT - DAY, MIDNIGHT + DAY)
FAULTS = ("throttled", "broken", "refused", "edge", "page", "truncated", "drop")


class Waits:
    """Sleeps without time: the ledger's clock moves instead."""

    def __init__(self, clock: Clock) -> None:
        self.seconds: list[float] = []
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._clock.advance(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits(clock: Clock) -> Waits:
    return Waits(clock)


@pytest.fixture
async def ledger(tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db", clock=clock) as ledger:
        yield ledger


@pytest.fixture
async def cloudtalk() -> AsyncIterator[FakeHistory]:
    async with running_history(FakeHistory([make_row()])) as fake:
        yield fake


def api_of(cloudtalk: FakeHistory, ledger: Ledger, waits: Waits, key: str = "key-of-the-api") -> HistoryApi:
    access = ApiAccess("id", key, f"{cloudtalk.url}/api", f"{cloudtalk.url}/analytics")
    return HistoryApi(access, SharedRequestLimit(ledger, per_minute=3), sleep=waits.sleep)


@pytest.fixture
async def api(cloudtalk: FakeHistory, ledger: Ledger, waits: Waits) -> AsyncIterator[HistoryApi]:
    api = api_of(cloudtalk, ledger, waits)
    yield api
    await api.aclose()


async def test_a_page_is_asked_for_by_its_window_and_its_number(
    api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    page = await api.read_page(WINDOW, 1)
    assert ([row["Cdr"]["id"] for row in page.rows], page.items, page.pages) == (["484371839"], 1, 1)
    assert cloudtalk.asked[0].query == {
        "date_from": "2024-01-09 00:00:00",
        "date_to": "2024-01-11 00:00:00",
        "limit": "1000",
        "page": "1",
    }
    assert api.requests == 1


async def test_the_analytics_api_is_asked_for_a_uuid(api: HistoryApi, cloudtalk: FakeHistory) -> None:
    cloudtalk.uuids["7"] = "44fe27cd-5268-4670-993e-0129aabbccdd"
    assert await api.find_uuid("7") == "44fe27cd-5268-4670-993e-0129aabbccdd"
    assert await api.find_uuid("8") is None  # it lags, or does not know the call
    assert cloudtalk.looked_up == ["7", "8"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failure_that_may_pass_is_tried_again(
    api: HistoryApi, cloudtalk: FakeHistory, waits: Waits, fault: str
) -> None:
    cloudtalk.faults += [fault, fault]
    page = await api.read_page(WINDOW, 1)
    assert (len(page.rows), len(cloudtalk.asked)) == (1, 3)
    assert len(waits.seconds) >= 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failure_that_stays_is_an_error_after_some_attempts(
    api: HistoryApi, cloudtalk: FakeHistory, fault: str
) -> None:
    cloudtalk.faults += [fault] * 20
    with pytest.raises(ApiFailure):
        await api.read_page(WINDOW, 1)
    assert len(cloudtalk.asked) == 8


async def test_a_wrong_key_is_an_error_at_once(cloudtalk: FakeHistory, ledger: Ledger, waits: Waits) -> None:
    api = api_of(cloudtalk, ledger, waits, key="wrong")
    with pytest.raises(ApiFailure, match="create another key"):
        await api.read_page(WINDOW, 1)
    await api.aclose()
    assert len(cloudtalk.asked) == 1


async def test_a_server_that_cannot_be_reached_is_named(
    cloudtalk: FakeHistory, ledger: Ledger, waits: Waits
) -> None:
    cloudtalk.url = "http://127.0.0.1:9"
    api = api_of(cloudtalk, ledger, waits)
    with pytest.raises(ApiFailure, match=r"No connection to http://127\.0\.0\.1:9.*check that this machine"):
        await api.read_page(WINDOW, 1)
    await api.aclose()


async def test_no_more_requests_are_sent_than_the_limit_allows(
    api: HistoryApi, cloudtalk: FakeHistory, waits: Waits
) -> None:
    reported: list[float] = []
    api.on_wait = reported.append
    for number in range(1, 5):
        await api.read_page(WINDOW, number)
    assert waits.seconds == [61]
    assert reported == [61]
    assert len(cloudtalk.asked) == 4


async def test_nothing_is_sent_until_cloudtalks_reset_once_nothing_is_left(
    api: HistoryApi, cloudtalk: FakeHistory, waits: Waits
) -> None:
    cloudtalk.allowed = 1
    await api.read_page(WINDOW, 1)
    cloudtalk.allowed = 60
    await api.read_page(WINDOW, 2)
    ((seconds,)) = waits.seconds
    assert 55 < seconds <= 61
