"""Steps 2 and 3 as a component: the fold, the delivery workers with their clients, retention and alerts."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from crm_clients.base import ClientState, CrmClient
from relay.alerts import AlertWorker
from relay.audit.worker import AuditWorker
from relay.components.traces import run_traces
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.delivery.clients import build_clients
from relay.fold import FoldWorker, fold_options
from relay.fold.options import questions_of
from relay.history.enrichment.worker import Enricher
from relay.history.reconciler import Reconciler
from relay.ledger import Ledger
from relay.ledger.generation_file import keep_generation_file
from relay.ledger.notifications import NotificationListener, WakeUpPipe
from relay.ledger.retention import RetentionWorker
from relay.measurements import DEAD_LETTERS
from relay.operations.left_over_tests import remove_left_over_tests
from relay.server.lifecycle import Loop
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recordings.archiver import Archiver


class Delivery:
    """Steps 2 and 3, and all else that only one process does at a time: each part holds a lease.

    `has_backlog`: whether ingest of this process has events to commit. `pipe`: by which the accepting
    processes wake this one. `archiver`: of the recordings.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        has_backlog: Callable[[], bool],
        pipe: WakeUpPipe | None,
        archiver: "Archiver",
    ) -> None:
        self._ledger = ledger
        self.fold = FoldWorker(
            ledger,
            options=fold_options(settings),
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
            also=archiver.delete_expired,
        )
        self.alerts = AlertWorker(settings, ledger)
        self.loops: list[Loop] = [
            self.fold.run,
            NotificationListener(ledger, self._wake_all).run,
            retention.run,
            partial(keep_generation_file, ledger),
            self.alerts.watch_machine,
            self.alerts.watch_content,
            partial(run_traces, settings),
            partial(remove_left_over_tests, settings, ledger),
        ]
        if settings.recordings.keep:
            self.loops.append(archiver.run)
        self.reconciler = Reconciler(settings, ledger)
        if settings.reconcile.every_minutes and settings.cloudtalk.api.access() is not None:
            self.loops.append(self.reconciler.run)
        self.audits = AuditWorker(settings, ledger, lambda: self.clients)
        if settings.audit.at:
            self.loops.append(self.audits.run)
        self.enricher = Enricher(settings, ledger)
        if questions_of(settings):
            self.loops.append(self.enricher.run)
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
