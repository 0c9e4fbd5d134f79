"""Composition root: builds the components of one process from the settings and connects them.

    step 1  ingest      WebhookEndpoint → GroupCommit → ledger
    step 2  fold        FoldWorker
    step 3  delivery    one DeliveryWorker and one CrmClient per destination

`uvicorn app:app` serves the settings file that RELAY_SETTINGS names. `relay serve` also binds the port,
logs `server.ready` and sets the exit code.
"""

import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp

from crm_clients.base import ClientState, Context, CrmClient
from relay import logs
from relay.cloudtalk.authentication import Authenticator
from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.signatures import SignatureVerifier
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.fold import FoldWorker
from relay.ingest.endpoint import WebhookEndpoint
from relay.ingest.limits import AdmissionControl
from relay.ingest.machine_faults import MachineFaults
from relay.ledger import Ledger, destinations
from relay.ledger.generation_file import keep_generation_file
from relay.ledger.group_commit import GroupCommit
from relay.ledger.notifications import NotificationListener
from relay.ledger.retention import RetentionWorker
from relay.ledger.watch import watch_ledger
from relay.server import health, paths
from relay.server.lifecycle import Lifecycle
from relay.settings import CloudTalk, Settings, collect_secrets, load, load_client_class, replace_secrets

log = logs.get_logger("relay.app")

_SHORTEST_PASSWORD: Final = 8


# --- the parts of each component --------------------------------------------------------------


def build_authenticator(settings: Settings) -> tuple[Authenticator, BodySecrets]:
    """Build what checks the sender of a request, and what removes secrets from all that is stored of it."""
    cloudtalk = settings.cloudtalk
    tokens = [token.get_secret_value() for token in cloudtalk.tokens]
    verifier = SignatureVerifier(secret.get_secret_value() for secret in cloudtalk.signing_secrets)
    authenticator = Authenticator(tokens, verifier, body_tokens=bool(cloudtalk.secret_keys))
    return authenticator, BodySecrets(cloudtalk.secret_keys, _secrets_in_events(settings))


def _secrets_in_events(settings: Settings) -> list[str]:
    """Return the secrets to remove from events: a short password of a database may be an ordinary word."""
    cloudtalk = set(collect_secrets(settings.cloudtalk))
    return [s for s in collect_secrets(settings) if s in cloudtalk or len(s) >= _SHORTEST_PASSWORD]


def build_parser(cloudtalk: CloudTalk) -> Parser:
    """Build the parser of request bodies."""
    return Parser(
        ZoneInfo(cloudtalk.timezone),
        cloudtalk.default_region,
        cloudtalk.own_numbers,
        cloudtalk.paths,
        cloudtalk.webhook_path,
        cloudtalk.company_ids,
    )


def build_clients(
    settings: Settings,
    client_state: Callable[[str], ClientState],
    *,
    only: Collection[str] | None = None,
) -> dict[str, CrmClient[Any]]:
    """Build the client of each destination, by name, or of the destinations in `only`.

    `client_state` returns the state of a destination's client by the name of the destination.
    """
    timezone, region = ZoneInfo(settings.cloudtalk.timezone), settings.cloudtalk.default_region
    return {
        name: load_client_class(destination.client)(
            name, destination, Context(client_state(name), timezone, region)
        )
        for name, destination in settings.destinations.items()
        if only is None or name in only
    }


# --- the components ---------------------------------------------------------------------------


class Relay:
    """The components of one process, connected.

    `max_connections` is how many connections the server of this process keeps.
    """

    def __init__(self, settings: Settings, *, max_connections: int = sys.maxsize) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.ledger.url.get_secret_value())
        self.group_commit = GroupCommit(self.ledger, on_append=self._wake_fold)
        self.endpoint = self._build_endpoint(max_connections)
        self.fold = self._build_fold_worker()
        self.clients = build_clients(settings, self._client_state)
        self.delivery_workers = {
            name: self._build_delivery_worker(name)
            for name, destination in settings.destinations.items()
            if destination.enabled
        }
        retention = RetentionWorker(
            self.ledger, events_days=settings.privacy.events_days, calls_days=settings.privacy.calls_days
        )
        notifications = NotificationListener(self.ledger, self._wake_all)
        self.lifecycle = Lifecycle(
            self.ledger,
            {name: destination.client for name, destination in settings.destinations.items()},
            self.clients,
            loops=[
                self.group_commit.run,
                self.fold.run,
                notifications.run,
                retention.run,
                self.endpoint.auth_failures.run,
                partial(keep_generation_file, self.ledger),
                partial(watch_ledger, self.ledger),
            ],
            delivery_loops=[worker.run for worker in self.delivery_workers.values()],
        )

    def _build_endpoint(self, max_connections: int) -> WebhookEndpoint:
        cloudtalk, server = self.settings.cloudtalk, self.settings.server
        authenticator, secrets = build_authenticator(self.settings)
        return WebhookEndpoint(
            ledger=self.ledger,
            group_commit=self.group_commit,
            authenticator=authenticator,
            secrets=secrets,
            parser=build_parser(cloudtalk),
            max_body_bytes=cloudtalk.max_body_bytes,
            admission_control=AdmissionControl(
                # Else the quarter of strangers may be all connections, which are never closed for others.
                max_requests=min(server.max_in_flight, max_connections),
                max_bytes=server.max_in_flight_bytes,
            ),
        )

    def _build_fold_worker(self) -> FoldWorker:
        return FoldWorker(
            self.ledger,
            grace_seconds=self.settings.cloudtalk.grace_seconds,
            has_backlog=lambda: self.group_commit.has_backlog,
            on_enqueue=self._wake_delivery_workers,
        )

    def _build_delivery_worker(self, name: str) -> DeliveryWorker:
        delivery = self.settings.delivery
        retry_policy = RetryPolicy(
            delivery.first_retry_seconds, delivery.longest_retry_seconds, delivery.give_up_after_hours
        )
        return DeliveryWorker(
            name,
            self.clients[name],
            self.settings.destinations[name],
            self.ledger,
            retry_policy,
            forward_internal=self.settings.cloudtalk.forward_internal,
        )

    def _client_state(self, name: str) -> ClientState:
        return LedgerClientState(self.ledger, name)

    # Each step wakes the next one, so that it does not wait for its poll.

    def _wake_fold(self) -> None:
        self.fold.wake()

    def _wake_delivery_workers(self) -> None:
        for worker in self.delivery_workers.values():
            worker.wake()

    def _wake_all(self) -> None:
        self._wake_fold()
        self._wake_delivery_workers()

    # --- reload ---------------------------------------------------------------------------------

    async def reload_secrets(self, loaded: Settings) -> None:
        """Use the tokens and keys of newly loaded settings, without a restart.

        A destination with new keys is probed at once. Raises `LedgerError`.
        """
        before = self.settings
        self.settings, restart_needed = replace_secrets(before, loaded)
        hide_secrets(self.settings)
        self.endpoint.set_authenticator(*build_authenticator(self.settings))
        changed = [n for n, d in self.settings.destinations.items() if d != before.destinations[n]]
        for name in changed:
            self._replace_client(name)
        for name in changed:
            await self.ledger.write(partial(destinations.probe_now, name=name, now=self.ledger.now()))
        log.info("settings.reloaded", destinations=changed, restart_needed=restart_needed)

    def _replace_client(self, name: str) -> None:
        destination = self.settings.destinations[name]
        replaced = self.clients[name]
        self.clients |= build_clients(self.settings, self._client_state, only=[name])
        if name in self.delivery_workers:
            self.delivery_workers[name].set_client(self.clients[name], destination)
        self.lifecycle.close_later(replaced, destination.timeout_seconds)


# --- the application --------------------------------------------------------------------------


def create_app(relay: Relay) -> ASGIApp:
    """Build the ASGI application; its lifespan runs the components."""
    path = relay.settings.cloudtalk.webhook_path

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with relay.lifecycle.running():
            yield

    others = Starlette(
        routes=[
            *health.routes(health.LedgerProbe(relay.ledger), lambda: relay.lifecycle.is_serving),
            Route("/", paths.StartPage(path)),
        ],
        middleware=[Middleware(MachineFaults)],
        exception_handlers={404: paths.not_found(path)},
        lifespan=lifespan,
    )
    return paths.WebhookFirst(path, MachineFaults(relay.endpoint), others)


def start_logging(settings: Settings) -> None:
    """Configure the log. No secret of the settings is ever written to it."""
    logs.configure(settings.log.format, settings.log.level, settings.log.personal_data)
    hide_secrets(settings)


def hide_secrets(settings: Settings) -> None:
    """Remove the secrets of these settings from log lines and from texts of CRMs."""
    logs.hide(*collect_secrets(settings))


def __getattr__(name: str) -> Any:
    """Build `relay.app.app` when a server asks for it, so that importing the module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    settings = load()
    start_logging(settings)
    return create_app(Relay(settings))
