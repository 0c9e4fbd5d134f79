"""A relay's parts in this process, without a server: for tests that look at one step at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from relay.app import Relay, create_app
from relay.settings import Settings


def settings_in(folder: Path, **sections: Any) -> Settings:
    """Settings as a file in this folder would give them."""
    given = {"ledger": {"url": "sqlite:///relay.db"}} | sections
    return Settings.model_validate(given, context=folder)


@asynccontextmanager
async def in_process_relay(settings: Settings) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    """The parts, at work, and a client that speaks to the application as from this machine."""
    relay = Relay(settings)
    async with relay.lifecycle.running():
        transport = httpx.ASGITransport(create_app(relay), client=("127.0.0.1", 4321))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield relay, client
