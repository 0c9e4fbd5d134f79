"""Builds the parts of this room from the settings."""

from typing import Final

from relay.ledger import Ledger
from relay.ledger.request_limit import SharedRequestLimit
from relay.recordings.archive import Archive
from relay.recordings.cache import Cache
from relay.recordings.hosts import AllowedHosts
from relay.recordings.lazy_download import LazyDownloader
from relay.recordings.sources import Sources
from relay.recordings.stores import open_store
from relay.settings import Settings

_MEGABYTE: Final = 1_000_000


def build_cache(settings: Settings) -> Cache:
    recordings = settings.recordings
    return Cache(recordings.cache_path, max_mb=recordings.cache_mb, max_days=settings.privacy.recordings_days)


def build_archive(settings: Settings) -> Archive:
    secrets = [key.get_secret_value().encode() for key in settings.recordings.keep_key]
    return Archive(open_store(settings.recordings), secrets)


def build_downloader(settings: Settings) -> LazyDownloader:
    recordings = settings.recordings
    hosts = AllowedHosts(
        recordings.allowed_hosts, settings.cloudtalk.api.base_url, allow_private=recordings.allow_private
    )
    return LazyDownloader(hosts, connections=recordings.max_fetches)


def build_sources(settings: Settings, ledger: Ledger, downloader: LazyDownloader) -> Sources:
    max_bytes = int(settings.recordings.max_mb * _MEGABYTE)
    api = settings.cloudtalk.api
    limit = SharedRequestLimit(ledger, per_minute=api.requests_per_minute)
    return Sources(downloader, api.access(), limit, max_bytes=max_bytes)


def link_keys(settings: Settings) -> list[bytes]:
    """Return the keys that verify links."""
    return [key.get_secret_value().encode() for key in settings.recordings.signing_keys]
