"""A relay inside the test process, without a server: tests can reach its components."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from relay.app import Relay, create_app
from relay.components import Delivery, Ingest
from relay.ledger.notifications import WakeUpPipe
from relay.operations.explanation import situation_of
from relay.operations.status import DestinationStatus, get_status
from relay.server.roles import Role
from relay.settings import Settings
from tests.support.patience import PATIENCE


def settings_in(folder: Path, **sections: Any) -> Settings:
    """Settings with these sections, as if loaded from a file in this folder."""
    values = {"ledger": {"url": "sqlite:///relay.db"}} | sections
    return Settings.model_validate(values, context=folder)


@asynccontextmanager
async def in_process_relay(
    settings: Settings, role: Role = Role.ALL, pipe: WakeUpPipe | None = None
) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    """A running relay, and an HTTP client that sends requests to it from 127.0.0.1."""
    relay = Relay(settings, role, pipe=pipe)
    async with relay.lifecycle.running():
        transport = httpx.ASGITransport(create_app(relay), client=("127.0.0.1", 4321))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield relay, client


def ingest_of(relay: Relay) -> Ingest:
    """The components that accept events; fails if this relay does not."""
    assert relay.ingest is not None
    return relay.ingest


def delivery_of(relay: Relay) -> Delivery:
    """The components that fold and deliver; fails if this relay does not."""
    assert relay.delivery is not None
    return relay.delivery


async def wait_for_status(
    relay: Relay, settings: Settings, condition: Callable[[dict[str, DestinationStatus]], bool]
) -> dict[str, DestinationStatus]:
    """Return the status of each destination by name once the condition holds. Fails after a minute."""
    async with asyncio.timeout(PATIENCE):
        while True:
            situation = situation_of(settings, relay.ledger.now())
            found = await relay.ledger.read(partial(get_status, situation=situation))
            status = {destination.name: destination for destination in found.destinations}
            if condition(status):
                return status
            await asyncio.sleep(0.01)
