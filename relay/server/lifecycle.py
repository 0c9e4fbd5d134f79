"""Start and stop of the components of one process, in the right order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, Final

from crm_clients.base import CrmClient
from relay.ledger import HEAD, Ledger, destinations, leases
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerDamaged
from relay.ledger.generation_file import begin_epoch_after_restore
from relay.logs import get_logger

log = get_logger("relay.server")

_CHECK_SECONDS: Final = 5.0
"""How long the start may look for damage in the ledger: about 7 GB in memory, 1 GB on a slow disk."""

_RESTART_SECONDS: Final = 1.0

Loop = Callable[[], Coroutine[Any, Any, None]]
"""The `run` method of a component: works until it is cancelled."""


def log_schema(before: str | None, after: str) -> None:
    """Log that the schema of the ledger was migrated, or that it is newer than this relay."""
    if before != after:
        log.info("ledger.migrated", before=before, after=after)
    elif after != HEAD:
        log.info("ledger.newer_schema", schema=after, own=HEAD)


class Lifecycle:
    """Opens the ledger, runs the loops of all components as tasks, and stops them.

    `destinations` maps the names of all destinations of this process to their clients' names: none if
    another process delivers. `clients` is read again at the stop: clients that were replaced meanwhile are
    not in it.
    """

    def __init__(
        self,
        ledger: Ledger,
        destinations: Mapping[str, str] = MappingProxyType({}),
        clients: Mapping[str, CrmClient[Any]] = MappingProxyType({}),
        *,
        loops: Sequence[Loop],
        delivery_loops: Sequence[Loop] = (),
    ) -> None:
        self.is_serving = False
        self._ledger = ledger
        self._destinations = destinations
        self._clients = clients
        self._loops = loops
        self._delivery_loops = delivery_loops
        self._deliveries: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._is_open = self._is_stopping = False

    async def open(self) -> None:
        """Migrate the ledger and register the destinations, once. Raises `LedgerError`.

        With a damaged ledger the relay runs all the same: it answers 503 and says why.
        """
        if self._is_open:
            return
        self._is_open = True
        with suppress(LedgerDamaged):  # `watch_ledger` logs it
            await self._open_ledger()

    async def _open_ledger(self) -> None:
        if not await self._ledger.check_content(_CHECK_SECONDS):
            log.warning("ledger.check_incomplete", seconds=_CHECK_SECONDS)
        log_schema(*await self._ledger.open())
        await begin_epoch_after_restore(self._ledger)
        await self._ledger.write(self._prepare)

    def _prepare(self, connection: Connection) -> None:
        # A killed process did not release its leases; waiting until they expire would delay every call.
        leases.free_orphans(connection)
        destinations.register(connection, self._destinations)
        for name in self._destinations:
            destinations.probe_now(connection, name, now=self._ledger.now())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the ledger and run all components for the duration of the block."""
        await self.open()
        tasks = [asyncio.create_task(_keep_running(loop)) for loop in self._loops]
        self._deliveries = [asyncio.create_task(_keep_running(loop)) for loop in self._delivery_loops]
        self.is_serving = True
        try:
            yield
        finally:
            self.is_serving = False
            await self._stop(tasks)

    def stop_delivering(self) -> None:
        """Start no more pushes. Pushes in flight finish while the server answers its last requests."""
        if not self._is_stopping:  # a second cancellation would abort the pushes in flight
            self._is_stopping = True
            for task in self._deliveries:
                task.cancel()

    def close_later(self, client: CrmClient[Any], seconds: float) -> None:
        """Close a replaced client after the longest duration of a push that it may still have in flight."""
        task = asyncio.create_task(_close_after(client, seconds))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        self.stop_delivering()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._deliveries, return_exceptions=True)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        await self._ledger.close()


async def _keep_running(loop: Loop) -> None:
    """Run the loop of a component, and start it again after an error: the relay would go on without it."""
    while True:
        try:
            return await loop()
        except Exception:
            log.exception("server.component_failed")
            await asyncio.sleep(_RESTART_SECONDS)


async def _close_after(client: CrmClient[Any], seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        await client.aclose()
