"""The faults that a CRM of the tests can be told to have."""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What befalls one request."""

    RESET = "reset"
    """The connection is reset before anything is written."""
    CUT = "cut"
    """Everything is written, and the connection closed before the answer."""
    LATE = "late"
    """The connection is closed at once, and everything written a while later, as by a database that goes
    on with what its gateway has given up."""
    THROTTLED = "throttled"
    """429 without a word of when."""
    THROTTLED_AFTER = "throttled_after"
    """429 with `Retry-After: 1`."""
    ERROR = "error"
    """503, as a database that restarts."""
    GATEWAY = "gateway"
    """502 with a page of HTML."""
    UNAUTHORISED = "unauthorised"
    GARBAGE = "garbage"
    """200 and a page of HTML: whatever answers there is no REST API."""
    HANG = "hang"
    """No answer for as long as the client waits."""


class Faults(msgspec.Struct, frozen=True):
    """What is wrong just now. With nothing said, nothing is.

    `down`: connections are refused, those that there are end. `always` befalls each request; `mix` some,
    with these probabilities. `slow`: seconds, at most, that a request takes before its write, and as many
    after it. `late_seconds`: how long after its request a late write comes. `bad` and `poison` are ids of
    rows that spoil their batch with 400 and 500. `mandatory`: a column without which no row is taken.
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
    """What the CRM counted. `requests`: of data; `batches`: the rows of each that brought some; `under_way`:
    how many are not over; `abandoned`: pushes whose client was gone before the answer; `faults`: how often
    each befell a request.
    """

    requests: int
    batches: list[int]
    under_way: int
    abandoned: int
    faults: dict[str, int]


class Written(msgspec.Struct):
    """How often a row was made, and written, and written by an older version, which the guard refused;
    `first_at`, in seconds since 1970.
    """

    first_at: float
    inserts: int = 0
    writes: int = 0
    stale: int = 0
