"""Assembly, and nothing else: settings → ledger, clients, couriers → the Starlette application.

`uvicorn app:app` serves the settings file that RELAY_SETTINGS names; `relay serve` does the same
with a ready line, a clean exit and the port that was bound.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.routing import Route

from crm_clients.base import ClientState, Context, CrmClient
from relay import logs
from relay.cloudtalk.authentication import Authenticator
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.secrets import BodySecrets
from relay.cloudtalk.signatures import SignatureVerifier
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.fold import FoldWorker
from relay.ingest.endpoint import WebhookEndpoint
from relay.ingest.limits import AdmissionControl
from relay.ledger import Ledger, destinations, leases
from relay.ledger.group_commit import GroupCommit
from relay.ledger.notifications import NotificationListener
from relay.ledger.retention import RetentionWorker
from relay.server import health
from relay.settings import CloudTalk, Settings, load, load_client_class, replace_secrets
from relay.settings.secrets import collect_secrets

log = logs.get_logger("relay.app")


def build_clients(
    settings: Settings, memory_of: Callable[[str], ClientState], *, only: Collection[str] | None = None
) -> dict[str, CrmClient[Any]]:
    """A client for each destination, or `only` for these, by name, each with a memory of its own."""
    zone, region = ZoneInfo(settings.cloudtalk.timezone), settings.cloudtalk.default_region
    return {
        name: load_client_class(destination.client)(name, destination, Context(memory_of(name), zone, region))
        for name, destination in settings.destinations.items()
        if only is None or name in only
    }


def build_parser(cloudtalk: CloudTalk) -> Parser:
    """What reads CloudTalk's bodies as these settings say."""
    return Parser(
        ZoneInfo(cloudtalk.timezone),
        cloudtalk.default_region,
        cloudtalk.own_numbers,
        cloudtalk.paths,
        cloudtalk.webhook_path,
    )


def build_authenticator(cloudtalk: CloudTalk) -> tuple[Authenticator, BodySecrets]:
    """Who is let in, and what of a body is never kept."""
    tokens = [token.get_secret_value() for token in cloudtalk.tokens]
    signatures = SignatureVerifier(secret.get_secret_value() for secret in cloudtalk.signing_secrets)
    authenticator = Authenticator(tokens, signatures, body_tokens=bool(cloudtalk.secret_keys))
    return authenticator, BodySecrets(cloudtalk.secret_keys, tokens)


class Relay:
    """The parts of one process, and how they start and stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.serving = False
        self.ledger = Ledger(settings.ledger.url.get_secret_value())
        self.group_commit = GroupCommit(self.ledger, on_append=self._on_append)
        self.fold = FoldWorker(
            self.ledger,
            grace_seconds=settings.cloudtalk.grace_seconds,
            has_backlog=lambda: self.group_commit.has_backlog,
            on_enqueue=self._on_enqueue,
        )
        self.clients = build_clients(settings, self._memory_of)
        self.delivery_workers = {
            name: self._courier(name) for name, d in settings.destinations.items() if d.enabled
        }
        self.endpoint = self._hook()
        self._retiring: set[asyncio.Task[None]] = set()
        self._housekeeping = RetentionWorker(
            self.ledger,
            events_days=settings.privacy.events_days,
            calls_days=settings.privacy.calls_days,
        )
        self._wakeups = NotificationListener(self.ledger, self._on_foreign_write)
        self._delivering: list[asyncio.Task[None]] = []
        self._opened = self._stopping = False

    def _memory_of(self, name: str) -> ClientState:
        return LedgerClientState(self.ledger, name)

    def _courier(self, name: str) -> DeliveryWorker:
        delivery = self.settings.delivery
        schedule = RetryPolicy(
            delivery.first_retry_seconds, delivery.longest_retry_seconds, delivery.give_up_after_hours
        )
        return DeliveryWorker(
            name,
            self.clients[name],
            self.settings.destinations[name],
            self.ledger,
            schedule,
            forward_internal=self.settings.cloudtalk.forward_internal,
        )

    def _hook(self) -> WebhookEndpoint:
        cloudtalk, server = self.settings.cloudtalk, self.settings.server
        authenticator, secrets = build_authenticator(cloudtalk)
        return WebhookEndpoint(
            ledger=self.ledger,
            journal=self.group_commit,
            authenticator=authenticator,
            secrets=secrets,
            reader=build_parser(cloudtalk),
            max_body_bytes=cloudtalk.max_body_bytes,
            admission_control=AdmissionControl(
                requests=server.max_in_flight, held_bytes=server.max_in_flight_bytes
            ),
        )

    def _on_append(self) -> None:
        self.fold.wake()

    def _on_enqueue(self) -> None:
        for courier in self.delivery_workers.values():
            courier.wake()

    def _on_foreign_write(self) -> None:
        self.fold.wake()
        self._on_enqueue()

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
        destinations.probe_all_now(connection, now=self.ledger.now())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fold and deliver for as long as the server serves."""
        await self.open()
        loops = (self.group_commit.run(), self.fold.run(), self._wakeups.run(), self._housekeeping.run())
        tasks = [asyncio.create_task(loop) for loop in loops]
        self._delivering = [asyncio.create_task(courier.run()) for courier in self.delivery_workers.values()]
        self.serving = True
        try:
            yield
        finally:
            self.serving = False
            await self._stop(tasks)

    async def reload_secrets(self, loaded: Settings) -> None:
        """Go on with the tokens and keys that were read now, without a restart.

        Whatever was refused for want of them is tried at once.
        """
        before, (self.settings, others) = self.settings, replace_secrets(self.settings, loaded)
        for secret in collect_secrets(self.settings):
            logs.hide(secret)
        self.endpoint.set_authenticator(*build_authenticator(self.settings.cloudtalk))
        changed = [n for n, d in self.settings.destinations.items() if d != before.destinations[n]]
        for name in changed:
            self._renew(name)
        for name in changed:
            await self.ledger.write(partial(destinations.probe_now, name=name, now=self.ledger.now()))
        log.info("settings.reloaded", destinations=changed, restart_needed=others)

    def _renew(self, name: str) -> None:
        destination = self.settings.destinations[name]
        client = build_clients(self.settings, self._memory_of, only=[name])[name]
        before, self.clients[name] = self.clients[name], client
        if name in self.delivery_workers:
            self.delivery_workers[name].set_client(client, destination)
        task = asyncio.create_task(_retire(before, destination.timeout_seconds))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def stop_delivering(self) -> None:
        """Begin to stop: the pushes under way end while the last requests are answered."""
        if not self._stopping:
            self._stopping = True
            for courier in self._delivering:
                courier.cancel()

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        self.stop_delivering()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._delivering, return_exceptions=True)
        for retiring in self._retiring:
            retiring.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for client in self.clients.values():
            await client.aclose()
        await self.ledger.close()


async def _retire(client: CrmClient[Any], seconds: float) -> None:
    """Close a client once the last push that it was given is over."""
    try:
        await asyncio.sleep(seconds)
    finally:
        await client.aclose()


def create_app(relay: Relay) -> Starlette:
    """The application around these parts."""
    path = relay.settings.cloudtalk.webhook_path.rstrip("/")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with relay.running():
            yield

    return Starlette(
        routes=[
            Route(path, relay.endpoint),
            Route(path + "/{rest:path}", relay.endpoint),
            *health.routes(relay.ledger, lambda: relay.serving),
        ],
        lifespan=lifespan,
    )


def start_logging(settings: Settings) -> None:
    """Log as the settings say; no secret of theirs ever stands in a line."""
    logs.configure(settings.log.format, settings.log.level, settings.log.personal_data)
    for secret in collect_secrets(settings):
        logs.hide(secret)


def __getattr__(name: str) -> Any:
    # Made when a server asks for it, so that importing this module reads no settings.
    if name != "app":
        raise AttributeError(name)
    settings = load()
    start_logging(settings)
    return create_app(Relay(settings))
