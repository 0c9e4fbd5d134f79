"""Reads a range of CloudTalk's history page by page. A page counts as read when all its rows are imported."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from relay.history.counts import Counts
from relay.history.importer import Importer
from relay.history.pages import ROWS_PER_PAGE, Page
from relay.history.windows import Position, Window

_MOST_KEPT: Final = 20_000


class Progress(msgspec.Struct):
    """How far the reading has come: what is left, and what was found so far.

    `counted`: the call_ids of the window that is being read, so that a row is counted once if the window is
    read again. Of a larger window they are not kept.
    """

    position: Position
    counts: Counts = msgspec.field(default_factory=Counts)
    counted: list[str] = []


decode_progress: Final = msgspec.json.Decoder(Progress).decode
"""Decodes the progress in a cursor of the ledger."""


class ReadsPages(Protocol):
    """The part of `HistoryApi` that this module needs."""

    async def read_page(self, window: Window, number: int) -> Page:
        """Return a page of the calls in a window, the newest first."""


async def read_history(
    api: ReadsPages,
    importer: Importer,
    progress: Progress,
    *,
    after_page: Callable[[], Awaitable[None]],
) -> None:
    """Read and import all pages that are left, and change `progress` after each.

    `after_page` is awaited then, to store the progress. Raises `ApiFailure`, `LedgerError`.
    """
    while not progress.position.is_done:
        position = progress.position
        page = await api.read_page(position.windows[0], position.page)
        is_last = _is_last(page, position.page)
        has_older = not is_last or len(position.windows) > 1
        imported = await importer.import_rows(page.rows, is_first=position.page == 1, has_older=has_older)
        # Newest first: all further pages of the window are older, too.
        is_last = imported.are_older or is_last
        progress.position = position.after(page.items, page.pages, is_last=is_last)
        is_over = len(progress.position.windows) < len(position.windows)
        kept = [] if is_over else [*progress.counted, *imported.call_ids]
        progress.counted = kept if len(kept) <= _MOST_KEPT else []
        await after_page()


def _is_last(page: Page, number: int) -> bool:
    if not page.rows:
        return True
    return number >= page.pages if page.pages is not None else len(page.rows) < ROWS_PER_PAGE
