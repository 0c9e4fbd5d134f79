"""Finds the audio of a recording: in the archive, in the cache, or at its source."""

import asyncio
from contextlib import suppress
from typing import BinaryIO, Final

from relay.ledger.recordings import ArchivedRecording
from relay.logs import get_logger
from relay.recordings.archive import Archive
from relay.recordings.cache import Cache
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.fetch import Fetch, GrowingRecording
from relay.recordings.fetches import Fetches
from relay.recordings.opened import OpenRecording, open_file
from relay.recordings.sources import Recording, Sources
from relay.recordings.stores import StoreFailed

log = get_logger("relay.recordings")

_MAX_TRIES: Final = 3


class Library:
    """The recordings of one process."""

    def __init__(
        self,
        sources: Sources,
        cache: Cache,
        archive: Archive,
        *,
        max_fetches: int,
    ) -> None:
        self.cache = cache
        self.archive = archive
        self.fetches = Fetches(sources, cache, most=max_fetches)

    async def open(self, recording: Recording, archived: ArchivedRecording | None = None) -> OpenRecording:
        """Open a recording; the caller closes it. `archived`: where it is in the archive, if it is there.

        Raises `FetchFailed`.
        """
        if archived is not None:
            try:
                return await self.archive.open(archived, f'"{archived.object[:32]}"')
            except StoreFailed as error:
                log.warning("recording.archive_unreadable", call=recording.id, error=str(error))
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
