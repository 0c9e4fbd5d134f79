"""Finds the audio of a recording: in the cache, or at its source."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Final

from relay.recordings.cache import Cache
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.fetch import Fetch, GrowingRecording
from relay.recordings.fetches import Fetches
from relay.recordings.opened import OpenRecording, open_file
from relay.recordings.sources import Recording, Sources

_MAX_TRIES: Final = 3


class Library:
    """The recordings of one process."""

    def __init__(
        self,
        sources: Sources,
        cache: Cache,
        *,
        max_fetches: int,
        on_fetch: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.cache = cache
        self.fetches = Fetches(sources, cache, most=max_fetches, on_end=on_fetch)

    async def open(self, recording: Recording) -> OpenRecording:
        """Open a recording; the caller closes it. Raises `FetchFailed`."""
        etag = f'"{recording.key[:32]}"'
        try:
            for _ in range(_MAX_TRIES):
                cached = await asyncio.to_thread(self._open_cached, recording.key, etag)
                if cached is not None:
                    return cached
                fetch = await self.fetches.start(recording)
                with suppress(FileNotFoundError):  # it has just become complete: it is in the cache
                    return GrowingRecording(fetch, _open_part(fetch), etag)
        except OSError as error:
            raise FetchFailed(Reason.DISK, f"the cache cannot be read: {error.strerror}") from error
        raise FetchFailed(Reason.DISK, "the cache is too small for this recording")

    def _open_cached(self, key: str, etag: str) -> OpenRecording | None:
        path = self.cache.find(key)
        return None if path is None else open_file(path, etag)

    async def aclose(self) -> None:
        """End what is under way."""
        await self.fetches.aclose()


def _open_part(fetch: Fetch) -> BinaryIO:
    """Open the file of a fetch for one reader, who can go on when the file is renamed or removed."""
    assert fetch.part is not None  # noqa: S101 - it has begun
    return fetch.part.open("rb")
