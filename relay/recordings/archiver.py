"""The archiver: stores each recording in the archive when its call has ended, and deletes it after its time.

The fold enqueues a recording in the transaction that folds its link (`relay.ledger.recordings`). Of all
processes only the holder of the lease `recordings` archives. A failure is retried after longer and longer
waits. At its start the archiver enqueues the recordings of calls that began while nothing was archived.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from relay.instants import SECOND, Instant, duration
from relay.ledger import Ledger, LedgerError, LedgerUnavailable, calls, counters, recordings, replays
from relay.ledger.connection import Connection
from relay.ledger.lease_holder import Lease
from relay.ledger.recordings import ArchivedRecording, DueRecording
from relay.ledger.replays import PageCursor
from relay.logs import get_logger
from relay.measurements import RECORDINGS_ARCHIVED
from relay.recordings.archive import Archive
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.library import Library
from relay.recordings.opened import OpenRecording
from relay.recordings.sources import Recording, recording_of
from relay.recordings.stores import StoreFailed
from relay.settings import Settings

log = get_logger("relay.recordings")

_LEASE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 1.0
_AT_ONCE: Final = 2
_DAY_SECONDS: Final = 86_400
_PAGE: Final = 500
_PORTION: Final = 100

_FIRST_WAIT_SECONDS: Final = 10.0
_LONGEST_WAIT_SECONDS: Final = 3_600.0
_GIVE_UP: Final = duration(3 * _DAY_SECONDS)
"""How long a recording may be missing at CloudTalk until it is given up."""

_HEARTBEAT_SECONDS: Final = 60.0
_OVERLAP: Final = duration(_DAY_SECONDS)
"""A call that began so long before the archiver stopped may have got its recording after that."""

_GIVEN_UP: Final = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.NOT_AUDIO,
        Reason.TOO_LARGE,
        Reason.FORBIDDEN_HOST,
        Reason.NO_SOURCE,
    }
)
"""Other failures are retried without end: a person can correct them."""


class Archiver:
    """Archives while `settings.recordings.keep` is on. Recordings that are archived expire in any case."""

    def __init__(
        self,
        ledger: Ledger,
        library: Library,
        settings: Settings,
        *,
        poll_seconds: float = _POLL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._library = library
        self._age = duration(settings.privacy.recordings_days * _DAY_SECONDS)
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._lease = Lease(ledger, "recordings", seconds=_LEASE_SECONDS)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # --- the queue ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Archive until cancelled, whenever the lease is held."""
        try:
            await self._lease.serve(self._serve, _log_failure)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await self._lease.release()

    async def _serve(self) -> None:
        await self._enqueue_missed()
        noted_at = self._monotonic()
        while True:
            await self._lease.renew()
            await self._start_due()
            if self._monotonic() - noted_at >= _HEARTBEAT_SECONDS:
                noted_at = self._monotonic()
                await self._ledger.write(self._note_time)
            await asyncio.sleep(self._poll_seconds)

    async def _start_due(self) -> None:
        if len(self._tasks) >= _AT_ONCE:
            return
        now, limit = self._ledger.now(), _AT_ONCE - len(self._tasks)
        due = await self._ledger.read(
            lambda c: recordings.list_due(c, busy=list(self._tasks), now=now, limit=limit)
        )
        for each in due:
            task = asyncio.create_task(self._archive(each), name=f"archive:{each.call}")
            self._tasks[each.call] = task
            task.add_done_callback(partial(self._forget, each.call))

    def _forget(self, call: str, _: asyncio.Task[None]) -> None:
        self._tasks.pop(call, None)

    async def _enqueue_missed(self) -> None:
        """Enqueue the recordings of calls that began while nothing was archived."""
        now = self._ledger.now()
        kept_until = await self._ledger.read(lambda c: counters.get(c, counters.RECORDINGS_KEPT_UNTIL))
        cursor: PageCursor | None = PageCursor(Instant(max(kept_until - _OVERLAP, now - self._age, 0)), "")
        while cursor is not None:
            after = cursor
            cursor = await self._ledger.write(partial(self._enqueue_page, after=after, now=now))
        await self._ledger.write(self._note_time)

    def _enqueue_page(self, connection: Connection, *, after: PageCursor, now: Instant) -> PageCursor | None:
        self._lease.check(connection)
        page, following = replays.list_page(connection, after, until=None, limit=_PAGE)
        recordings.enqueue(connection, page, now=now)
        return following

    def _note_time(self, connection: Connection) -> None:
        counters.raise_to(connection, counters.RECORDINGS_KEPT_UNTIL, self._ledger.now())

    # --- one recording --------------------------------------------------------------------------

    async def _archive(self, due: DueRecording) -> None:
        try:
            recording = await self._ledger.read(lambda c: _recording(c, due))
            if recording is None:
                await self._write_failure(due, recordings.MERGED, None)
            else:
                await self._settle(due, await self._store(recording))
        except FetchFailed as error:
            await self._retry_later(due, error.reason, str(error), error.retry_after)
        except StoreFailed as error:
            await self._retry_later(due, Reason.ARCHIVE, str(error), None)
        except LedgerError as error:  # it stays pending, and is archived again under the same name
            _log_retry(due, "ledger", str(error), self._poll_seconds)
        except Exception as error:
            log.exception("recording.archiver_failed", call=due.call)
            await self._retry_later(due, Reason.FAULT, f"{type(error).__name__}: {error}", None)

    async def _store(self, recording: Recording) -> ArchivedRecording:
        audio = await self._library.open(recording)
        try:
            await audio.wait_until_complete()
            archive = self._library.archive  # other keys replace it
            name = archive.name_of(recording.key)
            size = await self._put(archive, name, audio)
        finally:
            await audio.close()
        if archive.is_encrypted:  # the copy in the cache is not
            with suppress(OSError):
                await asyncio.to_thread(self._library.cache.remove, recording.key)
        return ArchivedRecording(recording.id, name, size, audio.content_type, self._ledger.now())

    async def _put(self, archive: Archive, name: str, audio: OpenRecording) -> int:
        try:
            scratch = await asyncio.to_thread(self._library.cache.create_part)
            try:
                return await archive.put(name, audio, scratch)
            finally:
                scratch.unlink(missing_ok=True)
        except OSError as error:
            raise FetchFailed(Reason.DISK, f"the cache cannot be written: {error.strerror}") from error

    async def _settle(self, due: DueRecording, stored: ArchivedRecording) -> None:
        def write(connection: Connection) -> bool:
            self._lease.check(connection)
            return recordings.set_archived(connection, due, stored)

        if not await self._ledger.write(write):  # the call was forgotten, or has another recording now
            await self._delete(stored.object)
            return
        RECORDINGS_ARCHIVED.add(("archived",))
        log.info("recording.archived", call=due.call, bytes=stored.size)
        if due.object is not None and due.object != stored.object:
            await self._delete(due.object)

    async def _delete(self, name: str) -> None:
        with suppress(StoreFailed):
            await self._library.archive.store.delete(name)

    async def _retry_later(
        self, due: DueRecording, reason: Reason, message: str, retry_after: float | None
    ) -> None:
        RECORDINGS_ARCHIVED.add((reason,))
        now = self._ledger.now()
        is_over = reason in _GIVEN_UP and now - due.enqueued_at >= _GIVE_UP
        if reason is Reason.GONE or is_over:
            log.warning("recording.missing", call=due.call, reason=reason, message=message)
            await self._write_failure(due, reason, None)
            return
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(due.attempts, 20), _LONGEST_WAIT_SECONDS)
        seconds = max(wait, retry_after or 0)
        _log_retry(due, reason, message, seconds)
        await self._write_failure(due, reason, Instant(now + int(seconds * SECOND)))

    async def _write_failure(self, due: DueRecording, reason: str, retry_at: Instant | None) -> None:
        def write(connection: Connection) -> None:
            self._lease.check(connection)
            recordings.set_failed(connection, due, reason, retry_at)

        with suppress(LedgerError):  # it stays pending
            await self._ledger.write(write)

    # --- retention ------------------------------------------------------------------------------

    async def delete_expired(self) -> None:
        """Delete the recordings that were archived longer ago than `privacy.recordings_days`."""
        before = Instant(self._ledger.now() - self._age)
        while expired := await self._ledger.read(
            lambda c: recordings.list_expired(c, before=before, limit=_PORTION)
        ):
            for each in expired:
                try:
                    await self._library.archive.store.delete(each.object)
                except StoreFailed as error:
                    log.warning("recording.delete_failed", call=each.call, error=str(error))
                    return
                await self._ledger.write(partial(recordings.set_expired, expired=each))
            log.info("recording.expired", recordings=len(expired))
        await self._ledger.write(recordings.delete_settled)


def _recording(connection: Connection, due: DueRecording) -> Recording | None:
    """Return the recording; None if the call is gone, was merged, or has another recording now."""
    row = calls.get_many(connection, [due.call]).get(due.call)
    if row is None or row.record.merged_into or row.record.recording_url != due.source:
        return None
    return recording_of(row.record)


def _log_retry(due: DueRecording, reason: str, message: str, seconds: float) -> None:
    log.warning(
        "recording.archive_failed", call=due.call, reason=reason, message=message, seconds=round(seconds)
    )


def _log_failure(error: Exception) -> None:
    if isinstance(error, LedgerUnavailable):
        log.warning("recording.archiver_failed", error=str(error))
    else:
        log.error("recording.archiver_failed", exc_info=error)
