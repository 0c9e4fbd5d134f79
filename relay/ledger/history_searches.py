"""What the last searches of CloudTalk's history found, and since when they fail: for people who look at it.

Both are notes of the table `warnings`, one row each.
"""

from typing import Final, TypeVar

import msgspec

from relay.instants import Instant
from relay.ledger import warnings
from relay.ledger.connection import Connection

T = TypeVar("T")

_FINISHED: Final = "history.finished"
_FAILED: Final = "history.failed"


class HistorySearch(msgspec.Struct, frozen=True):
    """The last search that finished.

    `at`: when it did; `since`: how far back it read. `calls`: that CloudTalk has in this time, of which the
    ledger lacked `new`, and knew but completed `filled`. `period_began_at`: when the last search began that
    was no early one; the next one begins a period later.
    """

    at: Instant
    since: Instant
    calls: int
    new: int
    filled: int
    period_began_at: Instant


class SearchFailure(msgspec.Struct, frozen=True):
    """Searches fail since `since`, the last one at `at`. `code`: a word for programs."""

    since: Instant
    at: Instant
    code: str
    message: str


def record_finished(connection: Connection, search: HistorySearch) -> None:
    """Write what a search found. Searches do not fail any more."""
    _record(connection, _FINISHED, search.at, search)
    warnings.clear(connection, _FAILED)


def record_failed(connection: Connection, code: str, message: str, *, now: Instant) -> None:
    """Write why a search failed. The time of the first failure stays."""
    earlier = find_failure(connection)
    failure = SearchFailure(now if earlier is None else earlier.since, now, code, message)
    _record(connection, _FAILED, now, failure)


def find_last(connection: Connection) -> HistorySearch | None:
    """Return what the last search found; None before the first."""
    return _find(connection, _FINISHED, HistorySearch)


def find_failure(connection: Connection) -> SearchFailure | None:
    """Return why searches fail; None if the last one finished."""
    return _find(connection, _FAILED, SearchFailure)


def _record(connection: Connection, name: str, at: Instant, note: msgspec.Struct) -> None:
    warnings.record(connection, name, at, msgspec.json.encode(note).decode())


def _find(connection: Connection, name: str, type_: type[T]) -> T | None:
    message = warnings.get(connection, name, since=Instant(0))
    return None if message is None else msgspec.json.decode(message, type=type_)
