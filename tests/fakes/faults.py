"""The faults that a test can switch on in the faulty CRM, and what that CRM counts."""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """The way in which one request fails."""

    RESET = "reset"
    """The connection is reset before anything is written."""
    CUT = "cut"
    """Everything is written, and the connection is closed before the response."""
    LATE = "late"
    """The connection is closed at once, and everything is written later: the database continues a request
    that its gateway has given up."""
    THROTTLED = "throttled"
    """429 without `Retry-After`."""
    THROTTLED_AFTER = "throttled_after"
    """429 with `Retry-After: 1`."""
    ERROR = "error"
    """503, as from a database that restarts."""
    GATEWAY = "gateway"
    """502 with an HTML page."""
    UNAUTHORISED = "unauthorised"
    GARBAGE = "garbage"
    """200 with an HTML page: the URL belongs to no REST API."""
    HANG = "hang"
    """No response for as long as the client waits."""


class Faults(msgspec.Struct, frozen=True):
    """The faults that the CRM has now. By default it has none.

    `down`: new connections are refused, open ones are closed.
    `always`: the fault of every request. `mix`: the probability of each fault, drawn for each request.
    `slow`: the longest delay before a write, in seconds, and again before its response.
    `late_seconds`: the longest delay of a late write, in seconds.
    `bad`, `poison`: ids of rows for which the whole batch fails with 400 or 500.
    `mandatory`: a column; a batch with a row without a value in it fails with 400.
    """

    down: bool = False
    always: Fault | None = None
    mix: dict[Fault, float] = {}
    slow: float = 0.0
    late_seconds: float = 1.0
    bad: frozenset[str] = frozenset()
    poison: frozenset[str] = frozenset()
    mandatory: str | None = None


class Tally(msgspec.Struct, frozen=True):
    """Counts of the CRM since it was last cleared.

    `requests`: requests to the REST API. `batches`: the number of rows of each push. `under_way`: requests
    without a response yet. `abandoned`: pushes whose client disconnected before the response. `faults`: the
    number of requests that failed in each way.
    """

    requests: int
    batches: list[int]
    under_way: int
    abandoned: int
    faults: dict[str, int]


class Written(msgspec.Struct):
    """The writes of one row.

    `first_at`: the time of the first write, in seconds since 1970. `inserts`: how often the row was inserted.
    `writes`: all writes. `stale`: writes of an older version, which the version guard ignored.
    """

    first_at: float
    inserts: int = 0
    writes: int = 0
    stale: int = 0
