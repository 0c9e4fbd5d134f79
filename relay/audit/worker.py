"""The nightly audit. Of all processes only the holder of the lease `audit` makes it.

It is due once a day, at a time of the team's clock. After a night without a relay it is made up for at the
next start, and reads from the days before the last one on. A new ledger has its first audit in the next
night.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm_clients.base import CrmClient
from relay.audit.report import Result, without_zeros
from relay.history.windows import Range
from relay.instants import SECOND, Instant, duration, iso
from relay.ledger import Ledger, LedgerUnavailable, audits, counters
from relay.ledger.lease_holder import Lease, work_and_renew
from relay.ledger.request_limit import SharedRequestLimit
from relay.logs import get_logger
from relay.measurements import AUDIT_FINDINGS, AUDIT_RUNS, LAST_AUDIT
from relay.settings import Settings

log = get_logger("relay.audit")

_LEASE_SECONDS: Final = 60.0
_RENEW_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 20.0
_RETRY_SECONDS: Final = 600.0
"""After a failure: an audit begins again from its start, and asks CloudTalk and the CRMs for all of it."""

_DAY_SECONDS: Final = 86_400.0

_LONGEST: Final = duration(60 * _DAY_SECONDS)
"""How far back the first audit after a long stop reads. `relay audit` compares what is older."""

_COUNTED: Final = ("missing", "removed", "outdated", "doubled", "left_over", "changed", "repaired")


class AuditWorker:
    """Audits every night at `audit.at`. `clients` returns the clients of the destinations by name: those of
    the delivery workers, whose rate limits the audit shares.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, clients: Callable[[], Mapping[str, CrmClient[Any]]]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clients = clients
        self._lease = Lease(ledger, "audit", seconds=_LEASE_SECONDS, retry_seconds=_RETRY_SECONDS)

    def set_settings(self, settings: Settings) -> None:
        """Use the keys of newly loaded settings from the next audit on."""
        self._settings = settings

    async def run(self) -> None:
        """Audit each night, until cancelled, whenever the lease is held."""
        for outcome in ("good", "bad"):
            AUDIT_RUNS.add((outcome,), 0)  # so that the first one is an increase
        try:
            await self._lease.serve(
                lambda: work_and_renew(self._lease, self._audit_again_and_again, seconds=_RENEW_SECONDS),
                _log_failure,
            )
        finally:
            await self._lease.release()

    async def _audit_again_and_again(self) -> None:
        while True:
            if await self.is_due():
                await self.audit()
            await asyncio.sleep(_LOOK_SECONDS)

    async def is_due(self) -> bool:
        """Whether no audit began since the last time at which one should have. Raises `LedgerError`."""
        now = self._ledger.now()
        last = await self._last_began_at()
        if last is None:
            await self._ledger.write(lambda c: counters.raise_to(c, counters.FIRST_AUDIT_AFTER, now))
            return False
        # A time in the future is one before the clock was set back.
        return min(last, now) < latest_time(self._settings.audit.at, self._zone, now)

    async def _last_began_at(self) -> Instant | None:
        """Return when the last nightly audit began, or when a relay first waited for one."""
        newest, first = await self._ledger.read(
            lambda c: (audits.newest_nightly(c), counters.get(c, counters.FIRST_AUDIT_AFTER))
        )
        return newest.began_at if newest is not None else Instant(first) if first else None

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._settings.cloudtalk.timezone)

    async def audit(self) -> Result:
        """Audit once, log and count what was found. Raises `LedgerError`."""
        started = time.monotonic()
        result = await self._audit(await self._find_range())
        AUDIT_RUNS.add(("good" if result.is_good else "bad",))
        LAST_AUDIT.set(time.time())
        _count_findings(result)
        log.log(
            logging.INFO if result.is_good else logging.WARNING,
            "audit.finished",
            since=iso(result.since),
            until=iso(result.until),
            calls=result.calls,
            young=result.young,
            only_here=result.only_here,
            cloudtalk=None if result.cloudtalk is None else without_zeros(result.cloudtalk),
            crms={name: without_zeros(side) for name, side in result.crms.items()},
            repaired=result.repaired,
            for_person=result.for_person,
            unproven=result.unproven,
            seconds=round(time.monotonic() - started, 1),
        )
        return result

    async def _find_range(self) -> Range:
        now = self._ledger.now()
        last = await self._last_began_at()
        since = min(now, last or now) - duration(self._settings.audit.look_back_days * _DAY_SECONDS)
        return Range(Instant(max(since, now - _LONGEST)), now)

    async def _audit(self, wanted: Range) -> Result:
        # Loaded when they are first used: an HTTP client needs 7 MB of memory.
        from relay.audit.run import Audit  # noqa: PLC0415
        from relay.history.api import HistoryApi  # noqa: PLC0415

        settings = self._settings
        access = settings.cloudtalk.api.access()
        limit = SharedRequestLimit(self._ledger, per_minute=settings.cloudtalk.api.requests_per_minute)
        api = HistoryApi(access, limit) if access is not None else None
        audit = Audit(
            settings,
            self._ledger,
            self._clients(),
            api,
            wanted,
            repairs=settings.audit.repair,
            who=audits.NIGHTLY,
        )
        try:
            return (await audit.run()).result
        finally:
            if api is not None:
                await api.aclose()


def latest_time(at: str, zone: ZoneInfo, now: Instant) -> Instant:
    """Return the last instant, up to now, at which the clock of the zone showed this time ("03:30")."""
    hour, minute = map(int, at.split(":"))
    local = datetime.fromtimestamp(now / SECOND, UTC).astimezone(zone)
    moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if moment.timestamp() * SECOND > now:
        moment = (moment.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=zone)
    return Instant(round(moment.timestamp()) * SECOND)


def _count_findings(result: Result) -> None:
    if result.cloudtalk is not None:
        AUDIT_FINDINGS.add(("", "unknown"), result.cloudtalk.unknown)
        AUDIT_FINDINGS.add(("", "incomplete"), result.cloudtalk.incomplete)
    for name, side in result.crms.items():
        for kind in _COUNTED:
            AUDIT_FINDINGS.add((name, kind), getattr(side, kind))


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("audit.failed", code="ledger", error=str(error))
    else:
        log.error("audit.failed", code="fault", exc_info=error)
