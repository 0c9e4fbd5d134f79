"""A fake account for each test, and clients for it."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from crm_clients.hubspot import HubSpotClient
from crm_clients.state import InMemoryClientState
from tests.fakes.hubspot import HubSpot, RunningHubSpot, running_hubspot
from tests.support.fake_time import FakeTime
from tests.support.hubspot import build_client

Connect = Callable[..., HubSpotClient]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningHubSpot]:
    with running_hubspot() as running:
        yield running


@pytest.fixture
def hubspot(running: RunningHubSpot) -> HubSpot:
    """A new account after `relay setup`, with one owner (7001), and limits that no test reaches."""
    running.hubspot = hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits.burst.max_requests = hubspot.limits.search.max_requests = 10_000
    hubspot.add_owner("ana@example.test")
    return hubspot


@pytest.fixture
def fake_time() -> FakeTime:
    """The clock of the client state."""
    return FakeTime()


@pytest.fixture
def state(fake_time: FakeTime) -> InMemoryClientState:
    return InMemoryClientState(clock=fake_time.clock)


@pytest.fixture
async def connect(
    running: RunningHubSpot, hubspot: HubSpot, state: InMemoryClientState
) -> AsyncIterator[Connect]:
    """Build clients with these settings. All of them share one client state."""
    del hubspot  # the account must exist before a client
    clients: list[HubSpotClient] = []

    def connect(**settings: Any) -> HubSpotClient:
        clients.append(build_client(running.url, **{"state": state} | settings))
        return clients[-1]

    yield connect
    for client in clients:
        await client.aclose()
