"""Composition root: builds the components of a process from the settings and connects them.

    step 1  ingest      WebhookEndpoint → GroupCommit → ledger
    step 2  fold        FoldWorker
    step 3  delivery    one DeliveryWorker and one CrmClient per destination

One process does all, or several share the work (`relay.server.roles`): then `Ingest` and `Delivery` are in
different processes, and a pipe replaces the call from one to the other.

`uvicorn app:app` serves the settings file that RELAY_SETTINGS names. `relay serve` also binds the port,
logs `server.ready` and sets the exit code.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from crm_clients.base import ClientState, CrmClient
from relay import logs
from relay.alerts import AlertWorker
from relay.cloudtalk.authentication import Authenticator
from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.signatures import SignatureVerifier
from relay.console.entry import ConsoleEntry
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.delivery.clients import build_clients
from relay.fold import FoldWorker
from relay.ingest.endpoint import WebhookEndpoint
from relay.ingest.limits import AdmissionControl
from relay.ingest.machine_faults import MachineFaults
from relay.ingest.parsers import build_parser
from relay.ledger import Ledger, destinations
from relay.ledger.generation_file import keep_generation_file
from relay.ledger.group_commit import GroupCommit
from relay.ledger.notifications import NotificationListener, WakeUpPipe
from relay.ledger.retention import RetentionWorker
from relay.ledger.watch import watch_ledger
from relay.measurements import DEAD_LETTERS
from relay.metrics import LedgerReader, MetricsEndpoint
from relay.recordings.service import RecordingsService
from relay.server import health, paths
from relay.server.access import Guard, Guarded
from relay.server.lifecycle import Lifecycle, Loop
from relay.server.roles import Role
from relay.settings import Settings, collect_secrets, load, replace_secrets

log = logs.get_logger("relay.app")

_SHORTEST_PASSWORD: Final = 8


# --- the parts of each component --------------------------------------------------------------


def build_authenticator(settings: Settings) -> tuple[Authenticator, BodySecrets]:
    """Build what checks the sender of a request, and what removes secrets from all that is stored of it."""
    cloudtalk = settings.cloudtalk
    tokens = _texts(cloudtalk.tokens)
    verifier = SignatureVerifier(_texts(cloudtalk.signing_secrets))
    authenticator = Authenticator(tokens, verifier, body_tokens=bool(cloudtalk.secret_keys))
    return authenticator, BodySecrets(cloudtalk.secret_keys, _secrets_in_events(settings))


def _texts(secrets: Iterable[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def _secrets_in_events(settings: Settings) -> list[str]:
    """Return the secrets to remove from events: a short password of a database may be an ordinary word."""
    cloudtalk = set(collect_secrets(settings.cloudtalk))
    return [s for s in collect_secrets(settings) if s in cloudtalk or len(s) >= _SHORTEST_PASSWORD]


# --- the components ---------------------------------------------------------------------------


class Ingest:
    """Step 1: the endpoint, and the group commit that stores its events.

    `max_connections` is how many connections the server of this process keeps. `on_append` is called after
    each commit.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, *, max_connections: int, on_append: Callable[[], None]
    ) -> None:
        self.group_commit = GroupCommit(ledger, on_append=on_append)
        self.endpoint = self._build_endpoint(settings, ledger, max_connections)
        self.loops = [self.group_commit.run, self.endpoint.auth_failures.run]

    def _build_endpoint(self, settings: Settings, ledger: Ledger, max_connections: int) -> WebhookEndpoint:
        cloudtalk, server = settings.cloudtalk, settings.server
        authenticator, secrets = build_authenticator(settings)
        return WebhookEndpoint(
            ledger=ledger,
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


class Delivery:
    """Steps 2 and 3, and all else that only one process does at a time: each part holds a lease.

    `has_backlog`: whether ingest of this process has events to commit. `pipe`: by which the accepting
    processes wake this one.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        has_backlog: Callable[[], bool],
        pipe: WakeUpPipe | None,
    ) -> None:
        self._ledger = ledger
        self.fold = FoldWorker(
            ledger,
            grace_seconds=settings.cloudtalk.grace_seconds,
            has_backlog=has_backlog,
            on_enqueue=self._wake_workers,
        )
        self.clients = build_clients(settings, self._client_state)
        self.workers = {
            name: self._build_worker(settings, name)
            for name, destination in settings.destinations.items()
            if destination.enabled
        }
        retention = RetentionWorker(
            ledger,
            events_days=settings.privacy.events_days,
            calls_days=settings.privacy.calls_days,
            attempts_days=settings.privacy.attempts_days,
        )
        self.alerts = AlertWorker(settings, ledger)
        self.loops: list[Loop] = [
            self.fold.run,
            NotificationListener(ledger, self._wake_all).run,
            retention.run,
            partial(keep_generation_file, ledger),
            self.alerts.watch_machine,
            self.alerts.watch_content,
        ]
        if pipe is not None:
            self.loops.append(partial(pipe.listen, self.fold.wake))

    def _build_worker(self, settings: Settings, name: str) -> DeliveryWorker:
        DEAD_LETTERS.add((name,), 0)  # so that the first one is an increase
        delivery = settings.delivery
        retry_policy = RetryPolicy(
            delivery.first_retry_seconds, delivery.longest_retry_seconds, delivery.give_up_after_hours
        )
        return DeliveryWorker(
            name,
            self.clients[name],
            settings.destinations[name],
            self._ledger,
            retry_policy,
            forward_internal=settings.cloudtalk.forward_internal,
        )

    def replace_client(self, settings: Settings, name: str) -> CrmClient[Any]:
        """Use the keys of these settings for a destination. Return its client so far, which may push."""
        replaced = self.clients[name]
        self.clients |= build_clients(settings, self._client_state, only=[name])
        if name in self.workers:
            self.workers[name].set_client(self.clients[name], settings.destinations[name])
        return replaced

    def _client_state(self, name: str) -> ClientState:
        return LedgerClientState(self._ledger, name)

    def _wake_workers(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def _wake_all(self) -> None:
        self.fold.wake()
        self._wake_workers()


class Relay:
    """The components of one process, connected.

    `role`: which components it has. `max_connections` is how many connections its server keeps. `pipe`: by
    which a process that accepts wakes the one that delivers.
    """

    def __init__(
        self,
        settings: Settings,
        role: Role = Role.ALL,
        *,
        max_connections: int = sys.maxsize,
        pipe: WakeUpPipe | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.ledger.url.get_secret_value())
        self.ingest: Ingest | None = None
        self.console: ConsoleEntry | None = None
        self.recordings: RecordingsService | None = None
        self.delivery: Delivery | None = None
        self._pipe = pipe
        self.metrics_guard = Guard("metrics", _texts(settings.metrics.tokens))
        if role is not Role.DELIVERY:
            self.ingest = Ingest(
                settings, self.ledger, max_connections=max_connections, on_append=self._wake_fold
            )
            self.console = ConsoleEntry(lambda: self.settings, self.ledger)
            self.recordings = RecordingsService(settings, self.ledger)
        if role is not Role.INGEST:
            self.delivery = Delivery(settings, self.ledger, has_backlog=self._has_backlog, pipe=pipe)
        self.lifecycle = self._build_lifecycle()

    def _build_lifecycle(self) -> Lifecycle:
        loops: list[Loop] = [partial(watch_ledger, self.ledger)]
        if self.ingest is not None:
            loops += [*self.ingest.loops, self.metrics_guard.failures.run]
        if self.console is not None:
            loops.append(self.console.sign_in_failures.run)
        if self.recordings is not None:
            loops.append(self.recordings.run)
        if self.delivery is None:
            return Lifecycle(self.ledger, loops=loops)
        return Lifecycle(
            self.ledger,
            {name: destination.client for name, destination in self.settings.destinations.items()},
            self.delivery.clients,
            loops=loops + self.delivery.loops,
            delivery_loops=[worker.run for worker in self.delivery.workers.values()],
        )

    def _has_backlog(self) -> bool:
        return self.ingest is not None and self.ingest.group_commit.has_backlog

    def _wake_fold(self) -> None:
        """Wake the fold after an append, so that it does not wait for its poll."""
        if self.delivery is not None:
            self.delivery.fold.wake()
        elif self._pipe is not None:
            self._pipe.wake()

    async def reload_secrets(self, loaded: Settings) -> None:
        """Use the tokens and keys of newly loaded settings, without a restart.

        A destination with new keys is probed at once. Raises `LedgerError`.
        """
        before = self.settings
        self.settings, restart_needed = replace_secrets(before, loaded)
        hide_secrets(self.settings)
        changed = [n for n, d in self.settings.destinations.items() if d != before.destinations[n]]
        if self.ingest is not None:
            self.ingest.endpoint.set_authenticator(*build_authenticator(self.settings))
        self.metrics_guard.set_tokens(_texts(self.settings.metrics.tokens))
        if self.recordings is not None:
            self.recordings.use_secrets(self.settings)
        if self.delivery is not None:
            self.delivery.alerts.set_settings(self.settings)
            await self._use_new_keys(self.delivery, changed)
        log.info("settings.reloaded", destinations=changed, restart_needed=restart_needed)

    async def _use_new_keys(self, delivery: Delivery, names: Iterable[str]) -> None:
        for name in names:
            replaced = delivery.replace_client(self.settings, name)
            self.lifecycle.close_later(replaced, self.settings.destinations[name].timeout_seconds)
        for name in names:
            await self.ledger.write(partial(destinations.probe_now, name=name, now=self.ledger.now()))


# --- the application --------------------------------------------------------------------------


def create_app(relay: Relay) -> ASGIApp:
    """Build the ASGI application; its lifespan runs the components."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with relay.lifecycle.running():
            yield

    if relay.ingest is None or relay.console is None or relay.recordings is None:
        return Starlette(lifespan=lifespan)
    path = relay.settings.cloudtalk.webhook_path
    others = Starlette(
        routes=[
            *health.routes(health.LedgerProbe(relay.ledger), lambda: relay.lifecycle.is_serving),
            Route("/metrics", Guarded(relay.metrics_guard, MetricsEndpoint(LedgerReader(relay.ledger)))),
            Route("/", paths.StartPage(path, relay.console.is_open_for)),
            Route("/console", relay.console),
            Mount("/console", relay.console),
            Route("/recordings/{name:path}", relay.recordings.endpoint),
        ],
        middleware=[Middleware(MachineFaults)],
        exception_handlers={404: paths.not_found(path)},
        lifespan=lifespan,
    )
    return paths.WebhookFirst(path, MachineFaults(relay.ingest.endpoint), others)


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
