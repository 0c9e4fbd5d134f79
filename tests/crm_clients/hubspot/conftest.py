"""A fake account for each test, set up, with one agent; and clients of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from crm_clients.hubspot import HubSpotClient
from crm_clients.state import InMemoryClientState
from tests.fakes.hubspot import HubSpot, Running, running_hubspot
from tests.support.hubspot import client_of

Connect = Callable[..., HubSpotClient]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with running_hubspot() as running:
        yield running


@pytest.fixture
def hubspot(running: Running) -> HubSpot:
    """An account of its own for each test; its limits are out of the way."""
    running.hubspot = hubspot = HubSpot()
    hubspot.set_up()
    hubspot.limits.burst.most = hubspot.limits.search.most = 10_000
    hubspot.hire("ana@example.test")
    return hubspot


@pytest.fixture
def memory() -> InMemoryClientState:
    return InMemoryClientState()


@pytest.fixture
async def connect(running: Running, hubspot: HubSpot, memory: InMemoryClientState) -> AsyncIterator[Connect]:
    """Clients with these settings, all of one memory."""
    del hubspot  # the account comes first
    clients: list[HubSpotClient] = []

    def connect(**settings: Any) -> HubSpotClient:
        clients.append(client_of(running.url, **{"memory": memory} | settings))
        return clients[-1]

    yield connect
    for client in clients:
        await client.aclose()
