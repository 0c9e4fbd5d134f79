"""The recordings of one process that accepts requests: the endpoint, and what it needs."""

import asyncio
from collections.abc import Callable
from typing import Final

from relay.ledger import Ledger
from relay.logs import get_logger
from relay.recordings.build import build_cache, build_downloader, build_sources, link_keys
from relay.recordings.endpoint import RecordingsEndpoint
from relay.recordings.library import Library
from relay.settings import Settings

log = get_logger("relay.recordings")

_CLEANING_SECONDS: Final = 3_600.0


class RecordingsService:
    """`on_fetch` is called with the outcome of each fetch: "fetched" or why it failed."""

    def __init__(
        self, settings: Settings, ledger: Ledger, *, on_fetch: Callable[[str], None] = lambda _: None
    ) -> None:
        self._downloader = build_downloader(settings)
        self.library = Library(
            build_sources(settings, self._downloader),
            build_cache(settings),
            max_fetches=settings.recordings.max_fetches,
            on_fetch=on_fetch,
        )
        self.endpoint = RecordingsEndpoint(
            ledger, self.library, link_keys(settings), settings.recordings.link_days
        )

    def use_secrets(self, settings: Settings) -> None:
        """Use the keys of newly loaded settings."""
        self.endpoint.set_keys(link_keys(settings))
        self.library.fetches.set_sources(build_sources(settings, self._downloader))

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
