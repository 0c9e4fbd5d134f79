"""All fetches of one process: requests for the same recording share one, and their number is limited.

A failure is remembered for a short time, so that a player that asks again and again sends CloudTalk no
requests.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from relay.logs import get_logger
from relay.measurements import RECORDING_FETCHES
from relay.recordings.cache import Cache
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.fetch import Fetch
from relay.recordings.sources import Recording, Sources

log = get_logger("relay.recordings")

_MAX_REMEMBERED: Final = 1_000
_SECONDS: Final = {Reason.GONE: 3_600.0, Reason.TOO_LARGE: 3_600.0, Reason.NOT_FOUND: 15.0}
_OTHER_SECONDS: Final = 5.0
_BUSY_SECONDS: Final = 5.0


class Fetches:
    """`most`: at the same time. `monotonic` returns seconds."""

    def __init__(
        self,
        sources: Sources,
        cache: Cache,
        *,
        most: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._cache = cache
        self._most = most
        self._monotonic = monotonic
        self._running: dict[str, Fetch] = {}
        self._failures: OrderedDict[str, tuple[float, FetchFailed]] = OrderedDict()

    def set_sources(self, sources: Sources) -> None:
        """Use another API key from now on."""
        self._sources = sources
        self._failures.clear()

    async def start(self, recording: Recording) -> Fetch:
        """Return the fetch of this recording, a new one if none is under way. It has begun to receive.

        Raises `FetchFailed`.
        """
        fetch = self._running.get(recording.key)
        if fetch is None:
            self._check_remembered(recording.key)
            if len(self._running) >= self._most:
                raise FetchFailed(Reason.BUSY, "too many recordings are fetched at the moment", _BUSY_SECONDS)
            fetch = Fetch(recording, self._sources, self._cache)
            self._running[recording.key] = fetch
            fetch.task.add_done_callback(lambda _: self._end(fetch))
        await fetch.wait_for_start()
        return fetch

    def _check_remembered(self, key: str) -> None:
        until, failure = self._failures.get(key, (0.0, None))
        if failure is not None and self._monotonic() < until:
            raise failure

    def _end(self, fetch: Fetch) -> None:
        key, failure = fetch.recording.key, fetch.failure
        self._running.pop(key, None)
        self._failures.pop(key, None)
        if failure is None:
            RECORDING_FETCHES.add(("fetched",))
            log.info("recording.fetched", call=fetch.recording.id, bytes=fetch.received)
            return
        RECORDING_FETCHES.add((failure.reason,))
        log.warning("recording.failed", call=fetch.recording.id, reason=failure.reason, message=str(failure))
        seconds = failure.retry_after or _SECONDS.get(failure.reason, _OTHER_SECONDS)
        self._failures[key] = (self._monotonic() + seconds, failure)
        if len(self._failures) > _MAX_REMEMBERED:
            self._failures.popitem(last=False)

    async def aclose(self) -> None:
        """End the fetches that are under way."""
        tasks = [fetch.task for fetch in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
