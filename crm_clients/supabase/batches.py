"""Group the rows of calls into requests, send them, and build the outcome of each call."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from crm_clients.base import Delivered, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.supabase.errors import ApiError, ApiFailure, to_outcome
from relay.call import Call

MAX_ROWS: Final = 500
"""Of one POST."""

MAX_REQUEST_BYTES: Final = 1_000_000
"""Of one POST's body. A single call whose rows are larger is sent alone."""


class CallRows(msgspec.Struct, frozen=True):
    """The rows that one call writes, as JSON objects separated by commas. All have the same columns."""

    call: Call
    columns: tuple[str, ...]
    encoded: bytes
    count: int = 1


R = TypeVar("R", bound=CallRows)

Write = Callable[[Sequence[R]], Awaitable[dict[str, Outcome]]]
"""Sends one request and returns the outcome of each of its calls by call id."""


def group_into_requests(calls: Iterable[R]) -> Iterator[list[R]]:
    """Group calls into requests within the limits; a request has rows of equal columns (PGRST102)."""
    by_columns: dict[tuple[str, ...], list[R]] = defaultdict(list)
    for rows in calls:
        by_columns[rows.columns].append(rows)
    for group in by_columns.values():
        yield from _divide(group)


def _divide(calls: Sequence[R]) -> Iterator[list[R]]:
    request: list[R] = []
    size = count = 0
    for rows in calls:
        if request and (size + len(rows.encoded) > MAX_REQUEST_BYTES or count + rows.count > MAX_ROWS):
            yield request
            request, size, count = [], 0, 0
        request.append(rows)
        size += len(rows.encoded) + len(",")
        count += rows.count
    yield request


def request_body(calls: Sequence[CallRows]) -> bytes:
    """Return the rows of one request as a JSON array."""
    return b"[" + b",".join(rows.encoded for rows in calls) + b"]"


async def send_in_order(requests: Iterable[Sequence[R]], write: Write[R]) -> dict[str, Outcome]:
    """Send one request after the other. A failure that the next requests would share ends the sending."""
    outcomes: dict[str, Outcome] = {}
    unsent: Outcome | None = None
    for calls in requests:
        if unsent is None:
            written = await write(calls)
            outcomes |= written
            unsent = next(filter(None, map(_outcome_of_unsent, written.values())), None)
        else:
            outcomes |= {rows.call.id: unsent for rows in calls}
    return outcomes


def build_outcome(failure: ApiFailure | None, *, remote_id: str, calls: int) -> Outcome:
    """Return the outcome of one call whose request had so many calls."""
    if failure is None:
        return Delivered(remote_id=remote_id)
    return to_outcome(failure, rows=calls) if isinstance(failure, ApiError) else failure


def _outcome_of_unsent(outcome: Outcome) -> Outcome | None:
    """Return the outcome of the unsent requests, if the next one would fail like this one."""
    match outcome:
        case Retry() | Throttled() | Unauthorised():
            return outcome
        case Unknown():
            message = "Not sent, because the previous request got no response."
            return Retry(code=outcome.code, message=message)
        case _:
            return None


# --- JSON that PostgreSQL can store -----------------------------------------------------------


def encode_json(value: Any) -> bytes:
    """Encode as JSON, without NUL (22P05) and lone surrogates, which PostgreSQL's text cannot hold."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_clean(value))
    return msgspec.json.encode(_clean(value)) if b"\\u0000" in encoded else encoded


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
