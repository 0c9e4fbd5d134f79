"""Whether CloudTalk's history is read, and what was found. The fields of the structs are the keys of JSON."""

from typing import Final

import msgspec

from relay.history.reading import decode_progress
from relay.instants import Instant, duration
from relay.ledger import history_cursors, history_searches
from relay.ledger.connection import Connection
from relay.ledger.history_cursors import HistoryCursor
from relay.ledger.history_searches import HistorySearch
from relay.operations.explanation import Situation

_UNDER_WAY: Final = duration(180)
"""A command that runs writes its cursor after each page; a page may wait a minute for the rate limit."""


class LastSearch(msgspec.Struct, frozen=True):
    """The last search of the reconciler, see `HistorySearch`."""

    at: str | None
    since: str | None
    calls: int
    new: int
    filled: int


class FailingSearch(msgspec.Struct, frozen=True):
    """Why the reconciler reads nothing, see `SearchFailure`."""

    since: str | None
    code: str
    message: str


class BackfillStatus(msgspec.Struct, frozen=True):
    """An import that is not finished. `is_running`: whether it read a page within the last minutes; otherwise
    it was interrupted, and the same command continues it. `requests_left`: at least so many.
    """

    since: str | None
    until: str | None
    is_running: bool
    calls: int
    new: int
    filled: int
    requests: int
    requests_left: int


class HistoryStatus(msgspec.Struct, frozen=True):
    """`reconciles`: whether the settings let the reconciler search. `next_at`: when it searches next."""

    reconciles: bool
    last: LastSearch | None
    next_at: str | None
    failing: FailingSearch | None
    backfills: list[BackfillStatus]


def get_history(connection: Connection, situation: Situation) -> HistoryStatus:
    """Read what the reconciler and the backfills noted. A relay whose settings let nothing be searched has no
    next search and no failure.
    """
    last, failure = history_searches.find_last(connection), history_searches.find_failure(connection)
    period = situation.reconcile_period
    next_at = None
    if last is not None and period is not None:
        next_at = max(Instant(last.period_began_at + period), situation.now)
    return HistoryStatus(
        reconciles=period is not None,
        last=None if last is None else _last_search(last, situation),
        next_at=situation.time(next_at),
        failing=None
        if failure is None or period is None
        else FailingSearch(situation.time(failure.since), failure.code, failure.message),
        backfills=[_backfill(cursor, situation) for cursor in history_cursors.list_all(connection)],
    )


def _last_search(search: HistorySearch, situation: Situation) -> LastSearch:
    at, since = situation.time(search.at), situation.time(search.since)
    return LastSearch(at, since, search.calls, search.new, search.filled)


def _backfill(cursor: HistoryCursor, situation: Situation) -> BackfillStatus:
    progress = decode_progress(cursor.progress)
    counts = progress.counts
    return BackfillStatus(
        since=situation.time(cursor.since),
        until=situation.time(cursor.until),
        is_running=cursor.updated_at > situation.now - _UNDER_WAY,
        calls=counts.calls,
        new=counts.new,
        filled=counts.filled,
        requests=counts.requests,
        requests_left=progress.position.pages_left,
    )
