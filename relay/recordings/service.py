"""The recordings of one process: the endpoint, the archiver, and what both need."""

import asyncio
from typing import Final

from relay.ledger import Ledger
from relay.logs import get_logger
from relay.recordings.archiver import Archiver
from relay.recordings.build import build_archive, build_cache, build_downloader, build_sources, link_keys
from relay.recordings.endpoint import RecordingsEndpoint
from relay.recordings.library import Library
from relay.settings import Settings

log = get_logger("relay.recordings")

_CLEANING_SECONDS: Final = 3_600.0


class RecordingsService:
    """The archiver runs only in the process that delivers (`relay.app`)."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._downloader = build_downloader(settings)
        self.library = Library(
            build_sources(settings, ledger, self._downloader),
            build_cache(settings),
            build_archive(settings),
            max_fetches=settings.recordings.max_fetches,
        )
        self.archiver = Archiver(ledger, self.library, settings)
        self.endpoint = RecordingsEndpoint(
            ledger, self.library, link_keys(settings), settings.recordings.link_days
        )

    def use_secrets(self, settings: Settings) -> None:
        """Use the keys of newly loaded settings."""
        self.endpoint.set_keys(link_keys(settings))
        self.library.fetches.set_sources(build_sources(settings, self._ledger, self._downloader))
        self.library.archive = build_archive(settings)

    async def run(self) -> None:
        """Remove old recordings from the cache now and every hour, until cancelled; then end all fetches."""
        try:
            while True:
                await self._clean_cache()
                await asyncio.sleep(_CLEANING_SECONDS)
        finally:
            await self.library.aclose()
            await self._downloader.aclose()

    async def _clean_cache(self) -> None:
        try:
            await asyncio.to_thread(self.library.cache.remove_excess)
        except OSError as error:
            log.warning("recording.cache_failed", error=str(error))
