"""Assembly, and nothing else: settings → ledger, clients, couriers → the Starlette application.

`uvicorn app:app` serves the settings file that RELAY_SETTINGS names; `relay serve` does the same
with a ready line, a clean exit and the port that was bound.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.routing import Route

from crm_clients.base import CrmClient
from relay import health, telemetry
from relay.cloudtalk.authentication import Door
from relay.cloudtalk.reading import Reader
from relay.cloudtalk.secrets import BodySecrets
from relay.cloudtalk.signatures import Signatures
from relay.courier import Courier, Schedule
from relay.fold import Fold
from relay.intake import Hook
from relay.ledger import Ledger, destinations, leases
from relay.ledger.groups import GroupCommit
from relay.settings import CloudTalk, Settings, client_class, load
from relay.settings.secrets import secrets_of

log = telemetry.get_logger("relay.app")


def clients_of(settings: Settings) -> dict[str, CrmClient]:
    """A client for each destination, by name."""
    return {
        name: client_class(destination.client)(name, destination)
        for name, destination in settings.destinations.items()
    }


def reader_of(cloudtalk: CloudTalk) -> Reader:
    """What reads CloudTalk's bodies as these settings say."""
    return Reader(
        ZoneInfo(cloudtalk.timezone),
        cloudtalk.default_region,
        cloudtalk.own_numbers,
        cloudtalk.paths,
        cloudtalk.webhook_path,
    )


class Relay:
    """The parts of one process, and how they start and stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.serving = False
        self.ledger = Ledger(settings.ledger.url)
        self.journal = GroupCommit(self.ledger, on_append=self._on_append)
        self.fold = Fold(
            self.ledger,
            forward_internal=settings.cloudtalk.forward_internal,
            grace_seconds=settings.cloudtalk.grace_seconds,
            pressing=lambda: self.journal.pressing,
            on_marks=self._on_marks,
        )
        self.clients = clients_of(settings)
        self.couriers = [self._courier(name) for name, d in settings.destinations.items() if d.enabled]
        self._opened = False

    def _courier(self, name: str) -> Courier:
        delivery = self.settings.delivery
        schedule = Schedule(
            delivery.first_retry_seconds, delivery.longest_retry_seconds, delivery.give_up_after_hours
        )
        return Courier(
            name,
            self.clients[name],
            self.settings.destinations[name],
            self.ledger,
            schedule,
            forward_internal=self.settings.cloudtalk.forward_internal,
        )

    def _on_append(self) -> None:
        self.fold.wake()

    def _on_marks(self) -> None:
        for courier in self.couriers:
            courier.wake()

    async def open(self) -> None:
        """Bring the ledger up to date and register the destinations. Raises `LedgerError`."""
        if self._opened:
            return
        self._opened = True
        before, after = await self.ledger.open()
        if before != after:
            log.info("ledger.migrated", before=before, after=after)
        await self.ledger.write(self._register)

    def _register(self, connection: Connection) -> None:
        # A process that was killed let go of nothing: waiting for its leases would delay every call.
        leases.free_orphans(connection)
        named = {name: d.client for name, d in self.settings.destinations.items()}
        destinations.register(connection, named)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fold and deliver for as long as the server serves."""
        await self.open()
        loops = [self.journal.run(), self.fold.run(), *(courier.run() for courier in self.couriers)]
        tasks = [asyncio.create_task(loop) for loop in loops]
        self.serving = True
        try:
            yield
        finally:
            self.serving = False
            await self._stop(tasks)

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self.clients.values():
            await client.aclose()
        await self.ledger.close()


def create_app(relay: Relay) -> Starlette:
    """The application around these parts."""
    cloudtalk = relay.settings.cloudtalk
    tokens = [token.get_secret_value() for token in cloudtalk.tokens]
    signatures = Signatures(secret.get_secret_value() for secret in cloudtalk.signing_secrets)
    hook = Hook(
        ledger=relay.ledger,
        journal=relay.journal,
        door=Door(tokens, signatures, body_tokens=bool(cloudtalk.secret_keys)),
        secrets=BodySecrets(cloudtalk.secret_keys, tokens),
        reader=reader_of(cloudtalk),
        max_body_bytes=cloudtalk.max_body_bytes,
        max_in_flight=relay.settings.server.max_in_flight,
    )
    path = cloudtalk.webhook_path.rstrip("/")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with relay.running():
            yield

    return Starlette(
        routes=[
            Route(path, hook),
            Route(path + "/{rest:path}", hook),
            *health.routes(relay.ledger, lambda: relay.serving),
        ],
        lifespan=lifespan,
    )


def start_logging(settings: Settings) -> None:
    """Log as the settings say; no secret of theirs ever stands in a line."""
    telemetry.configure(settings.log.format, settings.log.level, settings.log.personal_data)
    for secret in secrets_of(settings):
        telemetry.hide(secret)


def __getattr__(name: str) -> Any:
    # Made when a server asks for it, so that importing this module reads no settings.
    if name != "app":
        raise AttributeError(name)
    settings = load()
    start_logging(settings)
    return create_app(Relay(settings))
