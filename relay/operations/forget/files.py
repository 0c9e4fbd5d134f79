"""The recordings of forgotten calls in the cache and in the archive."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import product

from relay.call import Call
from relay.ledger import aliases, journal
from relay.ledger.connection import Connection
from relay.ledger.recordings import ArchivedRecording
from relay.recordings.build import build_archive, build_cache
from relay.recordings.sources import Recording
from relay.recordings.stores import StoreFailed
from relay.settings import Settings


def list_call_ids(connection: Connection, ids: Iterable[str]) -> list[str]:
    """Return CloudTalk's call_ids of these calls, with those of their legs."""
    found = aliases.list_for_calls(connection, ids)
    return [alias.removeprefix("id:") for alias in found if alias.startswith("id:")]


def list_cache_keys(connection: Connection, records: dict[str, Call], call_ids: Iterable[str]) -> set[str]:
    """Return the names of all files that the recordings of these calls may have in the cache."""
    urls: set[str | None] = {None, *(record.recording_url for record in records.values())}
    for id_ in records:
        urls |= {event.parsed.fact("recording_url") for event in journal.list_for_call(connection, id_)}
    known_ids: list[str | None] = [None, *call_ids, *(record.call_id for record in records.values())]
    return {Recording(*each).key for each in product(records, dict.fromkeys(known_ids), urls)}


class RecordingFiles:
    """The files of some recordings. `left`: those that could not be deleted."""

    def __init__(self, settings: Settings, keys: set[str], archived: Iterable[ArchivedRecording]) -> None:
        self._cache = build_cache(settings)
        self._archive = build_archive(settings)
        self._keys = keys
        self._archived = list(archived)
        self.left: list[str] = []

    async def remove(self) -> int:
        """Delete the files, and return how many there were. May be repeated."""
        self.left = []
        removed = await asyncio.to_thread(self._remove_cached)
        for each in self._archived:
            try:
                await self._archive.store.delete(each.object)
            except StoreFailed as error:
                self.left.append(f"archive object {each.object}: {error}")
        return removed + len(self._archived) - len(self.left)

    def _remove_cached(self) -> int:
        removed = 0
        for key in self._keys:
            with suppress(FileNotFoundError):
                removed += self._cache.find(key) is not None
                self._cache.remove(key)
        return removed
