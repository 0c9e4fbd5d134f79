"""A downloader that is loaded when the first recording is fetched: an HTTP client needs 7 MB of memory."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from relay.recordings.hosts import AllowedHosts

if TYPE_CHECKING:
    import httpx

    from relay.recordings.download import Downloader


class LazyDownloader:
    """See `Downloader`, whose arguments and methods it has."""

    def __init__(self, hosts: AllowedHosts, *, connections: int) -> None:
        self._hosts = hosts
        self._connections = connections
        self._loaded: Downloader | None = None

    def get(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager["httpx.Response"]:
        if self._loaded is None:
            from relay.recordings.download import Downloader  # noqa: PLC0415 - see the module

            self._loaded = Downloader(self._hosts, connections=self._connections)
        return self._loaded.get(url, headers)

    async def aclose(self) -> None:
        if self._loaded is not None:
            await self._loaded.aclose()
