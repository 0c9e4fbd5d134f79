"""Sends alerts: asks again and again what is the case, and sends what has to be said.

Two loops. One watches the ledger's content; of all relays that share a ledger one does so, by a lease. The
other watches the machine, where the ledger may be the trouble, so each relay does. Neither delays anything
else: they read a few indexes, and wait for the receiver alone.
"""

import asyncio
import shutil
import socket
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from relay.alerts import conditions, silence
from relay.alerts.conditions import Condition
from relay.alerts.sender import AlertSender
from relay.instants import Instant, local_iso
from relay.ledger import Ledger, LedgerError, audits, calls
from relay.ledger.backlog import read_backlog
from relay.ledger.connection import Connection
from relay.ledger.lease_holder import Lease
from relay.ledger.write_check import check_writable
from relay.logs import get_logger
from relay.operations.explanation import situation_of
from relay.operations.history_status import get_history
from relay.settings import Settings

log = get_logger("relay.alerts")

_WATCH_SECONDS: Final = 5.0
_MACHINE_SECONDS: Final = 15.0


class AlertWorker:
    """Watches and sends while `alerts.webhook_url` is set."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        watch_seconds: float = _WATCH_SECONDS,
        machine_seconds: float = _MACHINE_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._watch_seconds = watch_seconds
        self._machine_seconds = machine_seconds
        self._lease = Lease(ledger, "alerts", seconds=30)
        self._is_on = asyncio.Event()
        # Each has the states of its own conditions: those of the ledger cannot always be stored in it.
        self._of_machine = AlertSender(ledger)
        self._of_content = AlertSender(ledger)
        self.set_settings(settings)

    def set_settings(self, settings: Settings) -> None:
        """Use these settings from now on."""
        self._settings = settings
        for sender in (self._of_machine, self._of_content):
            sender.set_settings(settings)
        if settings.alerts.host:
            self._is_on.set()
        else:
            self._is_on.clear()

    async def watch_machine(self) -> None:
        """Watch the ledger and its disk from this machine, until cancelled."""
        host = socket.gethostname()
        while True:
            await self._is_on.wait()
            await self._of_machine.handle(await self.look_at_machine(host))
            await asyncio.sleep(self._machine_seconds)

    async def watch_content(self) -> None:
        """Watch destinations and events, until cancelled, while this process holds the lease."""
        await self._is_on.wait()
        try:
            await self._lease.serve(self._watch, _log_failure)
        finally:
            await self._lease.release()

    async def _watch(self) -> None:
        self._of_content.forget()  # another relay may have sent alerts since
        while True:
            await self._is_on.wait()
            await self._lease.renew()
            await self._of_content.handle(await self.look_at_content())
            await asyncio.sleep(self._watch_seconds)

    # --- what is the case -------------------------------------------------------------------------

    async def look_at_machine(self, host: str) -> list[Condition]:
        """Return the conditions of the ledger and its disk, as this host sees them."""
        try:
            await check_writable(self._ledger)
        except LedgerError as error:
            return [conditions.of_ledger(host, str(error))]
        found = [conditions.of_ledger(host, None)]
        if self._ledger.path is not None:
            usage = await asyncio.to_thread(shutil.disk_usage, Path(self._ledger.path).parent)
            found.append(conditions.of_disk(host, free=usage.free, total=usage.total))
        return found

    async def look_at_content(self) -> list[Condition]:
        """Return the conditions of destinations and events. Raises `LedgerError`."""
        now = self._ledger.now()
        return await self._ledger.read(partial(self._read_conditions, now=now))

    def _read_conditions(self, connection: Connection, now: Instant) -> list[Condition]:
        backlog = read_backlog(connection)
        situation = situation_of(self._settings, now, for_people=True)
        found = list(conditions.of_destinations(backlog, situation))
        found += [conditions.of_audit(row) for row in audits.list_newest(connection, 1)]
        if backlog.last_event_at is not None:
            found.append(self._silence_of(connection, backlog.last_event_at, now))
        if situation.reconcile_period is not None:
            found.append(conditions.of_history(get_history(connection, situation).failing))
        return found

    def _silence_of(self, connection: Connection, last_event_at: Instant, now: Instant) -> Condition:
        zone = ZoneInfo(self._settings.cloudtalk.timezone)
        windows = silence.past_windows(last_event_at, now, zone)
        numbers = [calls.count_began(connection, window.start, window.end) for window in windows]
        is_unusual = bool(windows) and silence.is_unusual(numbers, calls.first_began_at(connection), windows)
        return conditions.of_events(
            is_unusual=is_unusual,
            at=local_iso(last_event_at, zone),
            usual=silence.USUAL_CALLS,
            url=self._settings.server.public_url,
        )


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerError):
        log.warning("alert.watch_failed", error=str(error))
    else:
        log.error("alert.watch_failed", exc_info=error)
