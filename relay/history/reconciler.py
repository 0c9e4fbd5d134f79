"""Reads the latest history again and again: it finds calls that CloudTalk never announced, and fills what was
missing.

Between two searches it searches early for calls that are over and incomplete, after growing delays: most rows
are in the history within a minute. One request finds all of them, instead of one request for each.

Of all processes only the holder of the lease `reconcile` does. After a time without a relay it reads from the
end of its last search on, so a relay that was down for a night misses nothing.
"""

import asyncio
import time
from typing import Final

from relay.history.counts import Counts
from relay.history.errors import ApiFailure
from relay.history.importer import Importer
from relay.history.reading import Progress, read_history
from relay.history.windows import Range, divide
from relay.ingest.parsers import build_parser
from relay.instants import Duration, Instant, duration, iso
from relay.ledger import Ledger, LedgerError, LedgerUnavailable, counters, history_searches
from relay.ledger.history_searches import HistorySearch
from relay.ledger.incomplete_calls import list_incomplete
from relay.ledger.lease_holder import Lease, work_and_renew
from relay.ledger.request_limit import SharedRequestLimit
from relay.logs import get_logger
from relay.measurements import LAST_RECONCILE, RECONCILE_RUNS, RECONCILED_CALLS
from relay.settings import Settings

log = get_logger("relay.history")

_LEASE_SECONDS: Final = 60.0
_RENEW_SECONDS: Final = 15.0
_MINUTE: Final = 60.0
_LOOK_SECONDS: Final = 20.0
"""How often to look for calls that are incomplete: a search of them needs a request."""

_DELAYS: Final = tuple(map(duration, (20, 60, 180, 600, 1_800)))
"""How long after the last event of a call the history is searched for it, before the usual searches."""

_LONGEST: Final = duration(30 * 86_400)
"""How far back the first search after a long stop reads. `relay backfill` reads what is older."""


_LONGEST_EARLY: Final = duration(86_400)
"""How long ago a call may have begun that is searched for early: a search must not read months, again and
again, because of a late event of an old call."""


class Reconciler:
    """Searches every `reconcile.every_minutes`. The settings have an API key."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lease = Lease(ledger, "reconcile", seconds=_LEASE_SECONDS)
        self._searched_at = Instant(0)
        self._period_began_at = Instant(0)

    def set_settings(self, settings: Settings) -> None:
        """Use the API key of newly loaded settings from the next search on."""
        self._settings = settings

    async def run(self) -> None:
        """Search now and after each period, until cancelled, whenever the lease is held."""
        try:
            await self._lease.serve(
                lambda: work_and_renew(self._lease, self._search_again_and_again, seconds=_RENEW_SECONDS),
                _log_failure,
            )
        finally:
            await self._lease.release()

    async def _search_again_and_again(self) -> None:
        while True:
            ends_at = time.monotonic() + self._settings.reconcile.every_minutes * _MINUTE
            await self.search()
            while (seconds := ends_at - time.monotonic()) > 0:
                await asyncio.sleep(min(seconds, _LOOK_SECONDS))
                await self.search_early()

    async def search(self) -> None:
        """Import the latest history once, and log what was found. Raises `LedgerError`."""
        wanted = await self._find_range()
        until = await self._search(wanted, is_early=False)
        if until is not None:
            await self._ledger.write(lambda c: counters.raise_to(c, counters.RECONCILED_UNTIL, until))

    async def search_early(self) -> None:
        """Import the rows of the calls that are over and incomplete, if it is time. Raises `LedgerError`."""
        now = self._ledger.now()
        incomplete = await self._ledger.read(
            lambda c: list_incomplete(c, since=Instant(now - _DELAYS[-1] - duration(_LOOK_SECONDS)))
        )
        look_back = self._look_back()
        due = [
            # The row of a call whose start nobody stated began earlier.
            call.began_at if call.has_start else Instant(call.began_at - look_back)
            for call in incomplete
            if call.began_at >= now - _LONGEST_EARLY and is_due(call.changed_at, self._searched_at, now)
        ]
        if due:
            await self._search(Range(min(due), now), is_early=True)

    async def _search(self, wanted: Range, *, is_early: bool) -> Instant | None:
        """Search a range, and return until when it is done; None if it could not be read.

        A call that CloudTalk's analytics do not know yet is read again, however long ago it began.
        """
        started = time.monotonic()
        self._searched_at = wanted.until
        counts = Counts()
        if not is_early:
            self._period_began_at = wanted.until
        try:
            postponed_since = await self._import(wanted, counts)
        except ApiFailure as error:
            await self._note_failure(error.code, str(error))
            log.warning("reconcile.failed", code=error.code, error=str(error))
            return None
        except LedgerError:
            raise
        except Exception as error:  # logged by the caller
            await self._note_failure("fault", f"{type(error).__name__}: {error}")
            raise
        await self._note(wanted, counts)
        RECONCILE_RUNS.add(("finished",))
        LAST_RECONCILE.set(time.time())
        for result in ("new", "filled"):
            RECONCILED_CALLS.add((result,), getattr(counts, result))
        log.info(
            "reconcile.finished",
            early=is_early,
            since=iso(wanted.since),
            calls=counts.calls,
            known=counts.known,
            new=counts.new,
            filled=counts.filled,
            postponed=counts.postponed,
            unreadable=counts.unreadable,
            requests=counts.requests,
            seconds=round(time.monotonic() - started, 1),
        )
        if postponed_since is None:
            return wanted.until
        return min(wanted.until, Instant(postponed_since + self._look_back()))

    async def _note(self, wanted: Range, counts: Counts) -> None:
        """Note what was found, for people who ask later."""
        search = HistorySearch(
            self._ledger.now(), wanted.since, counts.calls, counts.new, counts.filled, self._period_began_at
        )
        await self._ledger.write(lambda c: history_searches.record_finished(c, search))

    async def _note_failure(self, code: str, message: str) -> None:
        RECONCILE_RUNS.add(("failed",))
        now = self._ledger.now()
        await self._ledger.write(lambda c: history_searches.record_failed(c, code, message, now=now))

    async def _find_range(self) -> Range:
        """Return from when to when to search. A call is in the history only once it is over, so a time before
        the end of the last search is read again.
        """
        now = self._ledger.now()
        last = await self._ledger.read(lambda c: counters.get(c, counters.RECONCILED_UNTIL))
        since = min(now, last or now) - self._look_back()
        return Range(Instant(max(since, now - _LONGEST)), now)

    def _look_back(self) -> Duration:
        return duration(self._settings.reconcile.look_back_hours * 3_600)

    async def _import(self, wanted: Range, counts: Counts) -> Instant | None:
        """Import the rows of a range, and return when the earliest of the postponed calls began."""
        # Loaded when it is first used: an HTTP client needs 7 MB of memory.
        from relay.history.api import HistoryApi  # noqa: PLC0415

        settings = self._settings.cloudtalk
        access = settings.api.access()
        assert access is not None  # noqa: S101 - see the class
        limit = SharedRequestLimit(self._ledger, per_minute=settings.api.requests_per_minute)
        api = HistoryApi(access, limit)
        importer = Importer(self._ledger, build_parser(settings), wanted, counts, api)

        async def after_page() -> None:
            counts.requests = api.requests

        try:
            await read_history(api, importer, Progress(divide(wanted), counts), after_page=after_page)
        finally:
            await api.aclose()
        return importer.postponed_since


def is_due(changed_at: Instant, searched_at: Instant, now: Instant) -> bool:
    """Whether a delay after the last event of a call ended since the last search."""
    return any(searched_at < changed_at + delay <= now for delay in _DELAYS)


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("reconcile.failed", code="ledger", error=str(error))
    else:
        log.error("reconcile.failed", code="fault", exc_info=error)
