"""Calls as rows, rows as requests, and what one answer means for the calls in it."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from crm_clients.base import Delivered, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.supabase.errors import ApiError, outcome_of
from crm_clients.supabase.rest import ApiFailure
from relay.call import Call

MAX_ROWS: Final = 500
"""Of one POST."""

MAX_REQUEST_BYTES: Final = 1_000_000
"""Of one POST's body; a single larger row still goes, alone."""


class Row(msgspec.Struct, frozen=True):
    """What one call writes: the columns that are named, and itself as JSON; `rows` objects of it."""

    call: Call
    columns: tuple[str, ...]
    encoded: bytes
    rows: int = 1


Write = Callable[[Sequence[Row]], Awaitable[dict[str, Outcome]]]


def requests(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of equal columns share a request (PGRST102), as many as its bounds allow."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.columns].append(row)
    for group in groups.values():
        yield from _bounded(group)


def _bounded(rows: Sequence[Row]) -> Iterator[list[Row]]:
    taken: list[Row] = []
    size = count = 0
    for row in rows:
        if taken and (size + len(row.encoded) > MAX_REQUEST_BYTES or count + row.rows > MAX_ROWS):
            yield taken
            taken, size, count = [], 0, 0
        taken.append(row)
        size += len(row.encoded) + len(",")
        count += row.rows
    yield taken


def body(rows: Sequence[Row]) -> bytes:
    """One request's rows as a JSON array."""
    return b"[" + b",".join(row.encoded for row in rows) + b"]"


async def send(batches: Iterable[Sequence[Row]], write: Write) -> dict[str, Outcome]:
    """One after the other. What would meet every request alike is not tried on the rest."""
    outcomes: dict[str, Outcome] = {}
    halted: Outcome | None = None
    for rows in batches:
        if halted is None:
            answers = await write(rows)
            outcomes |= answers
            halted = next(filter(None, map(_halt, answers.values())), None)
        else:
            outcomes |= {row.call.id: halted for row in rows}
    return outcomes


def outcome(trouble: ApiFailure | None, *, remote_id: str, calls: int) -> Outcome:
    """What one of so many calls in a request came to."""
    if trouble is None:
        return Delivered(remote_id=remote_id)
    return outcome_of(trouble, rows=calls) if isinstance(trouble, ApiError) else trouble


def _halt(outcome: Outcome) -> Outcome | None:
    """What the requests not yet sent come back as, where the next would meet the same."""
    match outcome:
        case Retry() | Throttled() | Unauthorised():
            return outcome
        case Unknown():
            return Retry(code=outcome.code, message="Not sent, since the request before was not answered.")
        case _:
            return None


# --- what PostgreSQL can hold -----------------------------------------------------------------


def encode(value: dict[str, Any]) -> bytes:
    """As JSON. PostgreSQL's text holds no NUL (22P05) and no half of a surrogate pair: both are cut out."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(value))
    return msgspec.json.encode(_cleaned(value)) if b"\\u0000" in encoded else encoded


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
