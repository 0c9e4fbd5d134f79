"""One fetch of a recording into the cache. Several requests can read its file while it grows."""

import asyncio
from pathlib import Path
from typing import BinaryIO, Final

from relay.recordings.cache import Cache
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.opened import read_at
from relay.recordings.sources import Download, Recording, Sources

MAX_SECONDS: Final = 600.0
"""How long a fetch may take: an endless or very slow answer ends here."""


class Fetch:
    """The task that fetches a recording, what it has got so far, and how it ended.

    `content_type`, `total` (the stated size) and `part` (the file) are set once it began. `failure`: None
    while it is under way, and after a success.
    """

    def __init__(self, recording: Recording, sources: Sources, cache: Cache) -> None:
        self.recording = recording
        self.content_type = ""
        self.total: int | None = None
        self.received = 0
        self.failure: FetchFailed | None = None
        self.is_complete = False
        self.part: Path | None = None
        self._sources = sources
        self._cache = cache
        self._progress = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    @property
    def is_over(self) -> bool:
        """Whether it ended, with or without success."""
        return self.is_complete or self.failure is not None

    async def wait_for_start(self) -> None:
        """Wait for the first bytes. Raises `FetchFailed`."""
        while self.received == 0 and not self.is_over:
            await self._progress.wait()
        if self.failure is not None:
            raise self.failure

    async def wait_for(self, size: int) -> None:
        """Wait until so many bytes are in the file, or the recording is complete. Raises `FetchFailed`."""
        while self.received < size and not self.is_over:
            await self._progress.wait()
        if self.failure is not None and self.received < size:
            raise self.failure

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(MAX_SECONDS), self._sources.open(self.recording) as download:
                await self._receive(download)
            assert self.part is not None  # noqa: S101 - a download without a byte has no audio
            self.part = await asyncio.to_thread(self._cache.commit, self.part, self.recording.key)
            self.is_complete = True
        except FetchFailed as error:
            self.failure = error
        except TimeoutError:
            self.failure = FetchFailed(Reason.UNAVAILABLE, f"not received within {MAX_SECONDS:g} seconds")
        except OSError as error:
            self.failure = FetchFailed(Reason.DISK, f"the cache cannot be written: {error.strerror}")
        finally:
            # Also after a cancellation, when the relay stops.
            if not self.is_complete:
                self.failure = self.failure or FetchFailed(Reason.UNAVAILABLE, "the relay stops")
                if self.part is not None:
                    self.part.unlink(missing_ok=True)
            self._advance()

    async def _receive(self, download: Download) -> None:
        self.content_type, self.total = download.content_type, download.total
        self.part = await asyncio.to_thread(self._cache.create_part)
        with self.part.open("ab", buffering=0) as file:
            async for chunk in download.chunks:
                await asyncio.to_thread(file.write, chunk)
                self.received += len(chunk)
                self._advance()
        if self.total is not None and self.received != self.total:
            message = f"CloudTalk sent {self.received} bytes of {self.total}"
            raise FetchFailed(Reason.UNAVAILABLE, message)

    def _advance(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()


class GrowingRecording:
    """What one request reads of a fetch that is under way."""

    def __init__(self, fetch: Fetch, file: BinaryIO, etag: str) -> None:
        self.content_type = fetch.content_type
        self.etag = etag
        self._fetch = fetch
        self._file = file

    @property
    def size(self) -> int | None:
        return self._fetch.received if self._fetch.is_complete else self._fetch.total

    async def wait_until_complete(self) -> None:
        if self._fetch.failure is None and not self._fetch.is_complete:
            await self._fetch.wait_for(2**63)
        if self._fetch.failure is not None:
            raise self._fetch.failure

    async def read(self, offset: int, length: int) -> bytes:
        """Return at least one byte if the recording has more, as soon as it has arrived."""
        await self._fetch.wait_for(offset + 1)
        return await asyncio.to_thread(read_at, self._file, offset, length)

    async def close(self) -> None:
        self._file.close()
