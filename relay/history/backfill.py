"""An import of a range of history, which continues where it was interrupted."""

from collections.abc import Callable
from functools import partial

import msgspec

from relay.cloudtalk.parser import Parser
from relay.history.api import HistoryApi
from relay.history.counts import Counts
from relay.history.importer import Importer
from relay.history.reading import Progress, decode_progress, read_history
from relay.history.windows import Range, divide
from relay.instants import Instant
from relay.ledger import Ledger, history_cursors
from relay.ledger.connection import Connection
from relay.ledger.history_cursors import HistoryCursor


class Backfill:
    """Imports the calls that started at or after `since` and before `until`; None: up to now.

    `is_dry`: only counts, writes nothing, and always reads the whole range. After `start`, `range` is what is
    read, and `is_continued` says whether an earlier import was interrupted.
    """

    def __init__(
        self,
        ledger: Ledger,
        api: HistoryApi,
        parser: Parser,
        since: Instant,
        until: Instant | None,
        *,
        is_dry: bool,
    ) -> None:
        self.progress = Progress(divide(Range(since, since)))
        self.range = Range(since, since)
        self.is_continued = False
        self.last_seq: int | None = None
        self._ledger = ledger
        self._api = api
        self._parser = parser
        self._since = since
        self._until = until
        self._is_dry = is_dry

    async def start(self) -> None:
        """Find what is left of an import of the same range that was interrupted."""
        if self._is_dry:
            self._begin(self._until or self._ledger.now())
        else:
            await self._ledger.write(self._begin_or_continue)

    def _begin(self, until: Instant) -> None:
        self.range = Range(self._since, until)
        self.progress = Progress(divide(self.range))

    def _begin_or_continue(self, connection: Connection) -> None:
        now = self._ledger.now()
        until = self._until or now
        cursor = history_cursors.find(connection, self._since, self._until)
        if cursor is None:
            self._begin(until)
        else:
            self._continue(cursor, until)
            history_cursors.remove(connection, cursor.since, cursor.until)
        self._save(connection)

    def _continue(self, cursor: HistoryCursor, until: Instant) -> None:
        """Go on at the page that was not finished, and read the time since the earlier command last."""
        self.is_continued = True
        self.range = Range(self._since, until)
        self.progress = decode_progress(cursor.progress)
        if until > cursor.until:
            since_then = divide(Range(cursor.until, until)).windows
            position = self.progress.position
            windows = [*position.windows, *since_then]
            self.progress.position = msgspec.structs.replace(position, windows=windows)

    def _save(self, connection: Connection) -> None:
        encoded = msgspec.json.encode(self.progress).decode()
        cursor = HistoryCursor(self.range.since, self.range.until, self._until is None, encoded)
        history_cursors.save(connection, cursor, now=self._ledger.now())

    async def run(self, on_page: Callable[[], None]) -> Counts:
        """Read all pages that are left, and return what was found, by the interrupted import too.

        `on_page` is called after each page. Raises `ApiFailure`, `LedgerError`.
        """
        counts = self.progress.counts
        requests_before = counts.requests
        api = None if self._is_dry else self._api
        importer = Importer(
            self._ledger, self._parser, self.range, counts, api, counted=self.progress.counted
        )

        async def after_page() -> None:
            counts.requests = requests_before + self._api.requests
            self.last_seq = importer.last_seq
            if not self._is_dry:
                await self._ledger.write(self._save)
            on_page()

        await read_history(self._api, importer, self.progress, after_page=after_page)
        if not self._is_dry:
            finished = partial(history_cursors.remove, since=self.range.since, until=self.range.until)
            await self._ledger.write(finished)
        return counts
