"""Composition root: connects the components of a process, and builds its application.

    step 1  ingest      WebhookEndpoint → GroupCommit → ledger
    step 2  fold        FoldWorker
    step 3  delivery    one DeliveryWorker and one CrmClient per destination

One process does all, or several share the work (`relay.server.roles`): then `Ingest` and `Delivery` are in
different processes, and a pipe replaces the call from one to the other.

`uvicorn app:app` serves the settings file that RELAY_SETTINGS names. `relay serve` also binds the port,
logs `server.ready` and sets the exit code.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from crm_clients.base import CrmClient
from relay import logs
from relay.components import Delivery, Ingest, build_authenticator
from relay.console.entry import ConsoleEntry
from relay.delivery import LedgerClientState
from relay.delivery.clients import build_clients
from relay.ingest.machine_faults import MachineFaults
from relay.ledger import Ledger, destinations
from relay.ledger.heartbeat import Heartbeat
from relay.ledger.notifications import WakeUpPipe
from relay.ledger.watch import watch_ledger
from relay.metrics import LedgerReader, MetricsEndpoint
from relay.recordings.service import RecordingsService
from relay.server import health, paths
from relay.server.access import Guard, Guarded
from relay.server.lifecycle import Lifecycle, Loop
from relay.server.memory import return_when_idle
from relay.server.roles import Role
from relay.settings import Settings, collect_secrets, load, replace_secrets, reveal

log = logs.get_logger("relay.app")


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
        self.recordings = RecordingsService(settings, self.ledger)
        self.delivery: Delivery | None = None
        self._pipe = pipe
        self.metrics_guard = Guard("metrics", reveal(settings.metrics.tokens))
        self._role = role
        if role is not Role.DELIVERY:
            self.ingest = Ingest(
                settings, self.ledger, max_connections=max_connections, on_append=self._wake_fold
            )
            self.console = ConsoleEntry(lambda: self.settings, self.ledger, self._record_url)
        if role is not Role.INGEST:
            self.delivery = Delivery(
                settings,
                self.ledger,
                has_backlog=self._has_backlog,
                pipe=pipe,
                archiver=self.recordings.archiver,
            )
        self.lifecycle = self._build_lifecycle()

    def _build_lifecycle(self) -> Lifecycle:
        loops: list[Loop] = [
            partial(watch_ledger, self.ledger),
            partial(return_when_idle, self.ledger.free_caches),
            self.recordings.run,
        ]
        if self.ingest is not None:
            loops += [*self.ingest.loops, self.metrics_guard.failures.run]
        if self.console is not None:
            loops.append(self.console.failures.run)
        if self.delivery is None:
            return Lifecycle(self.ledger, loops=loops)
        heartbeat = Heartbeat(self.ledger, os.getpid() if self._role is Role.ALL else os.getppid())
        return Lifecycle(
            self.ledger,
            {name: destination.client for name, destination in self.settings.destinations.items()},
            self.delivery.clients,
            loops=[*loops, *self.delivery.loops, heartbeat.run],
            delivery_loops=[worker.run for worker in self.delivery.workers.values()],
        )

    def _record_url(self, destination: str, remote_id: str) -> str | None:
        """Return the page of a record in a CRM; None if it is not known."""
        client = self._clients.get(destination)
        return client.record_url(remote_id) if client is not None else None

    @cached_property
    def _clients(self) -> Mapping[str, CrmClient[Any]]:
        """The clients of all destinations; a process that does not deliver sends nothing with them."""
        if self.delivery is not None:
            return self.delivery.clients
        return build_clients(self.settings, lambda name: LedgerClientState(self.ledger, name))

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
        self.metrics_guard.set_tokens(reveal(self.settings.metrics.tokens))
        self.recordings.use_secrets(self.settings)
        if self.delivery is not None:
            self.delivery.alerts.set_settings(self.settings)
            self.delivery.reconciler.set_settings(self.settings)
            self.delivery.audits.set_settings(self.settings)
            self.delivery.enricher.set_settings(self.settings)
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

    if relay.ingest is None or relay.console is None:
        return Starlette(lifespan=lifespan)
    path = relay.settings.cloudtalk.webhook_path
    others = Starlette(
        routes=[
            *health.routes(health.LedgerProbe(relay.ledger), lambda: relay.lifecycle.is_serving),
            Route("/metrics", Guarded(relay.metrics_guard, MetricsEndpoint(_gauges_of(relay)))),
            Route("/", paths.StartPage(path, relay.console.is_open_for)),
            Route("/console", relay.console),
            Mount("/console", relay.console),
            Route("/recordings/{name:path}", relay.recordings.endpoint),
        ],
        middleware=[Middleware(MachineFaults)],
        exception_handlers={404: paths.not_found(path)},
        lifespan=lifespan,
    )
    others.router.redirect_slashes = False
    return paths.WebhookFirst(path, MachineFaults(relay.ingest.endpoint), others)


def _gauges_of(relay: Relay) -> LedgerReader:
    recordings = relay.settings.recordings
    has_cache = recordings.proxy or recordings.keep
    measure = relay.recordings.library.cache.measure if has_cache else None
    return LedgerReader(relay.ledger, measure, hours=relay.settings.office_hours)


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
