"""A relay inside the test process, without a server: tests can reach its components."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from relay.app import Relay, create_app
from relay.cli.queries import DestinationStatus, get_status
from relay.settings import Settings


def settings_in(folder: Path, **sections: Any) -> Settings:
    """Settings with these sections, as if loaded from a file in this folder."""
    values = {"ledger": {"url": "sqlite:///relay.db"}} | sections
    return Settings.model_validate(values, context=folder)


@asynccontextmanager
async def in_process_relay(settings: Settings) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    """A running relay, and an HTTP client that sends requests to it from 127.0.0.1."""
    relay = Relay(settings)
    async with relay.lifecycle.running():
        transport = httpx.ASGITransport(create_app(relay), client=("127.0.0.1", 4321))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield relay, client


async def wait_for_status(
    relay: Relay, settings: Settings, condition: Callable[[dict[str, DestinationStatus]], bool]
) -> dict[str, DestinationStatus]:
    """Return the status of each destination by name once the condition holds. Fails after 5 seconds."""
    enabled = {name: destination.enabled for name, destination in settings.destinations.items()}
    async with asyncio.timeout(5):
        while True:
            found = await relay.ledger.read(lambda c: get_status(c, enabled, now=relay.ledger.now()))
            status = {destination.name: destination for destination in found.destinations}
            if condition(status):
                return status
            await asyncio.sleep(0.01)
