"""Failures of a request to Supabase, and the outcome for each.

ApiFailure
├── ApiError     the API responded with an error; `to_outcome` maps it to an outcome
└── Outcome      there was no response: Retry, Throttled or Unknown, from crm_clients.http

The error code decides; if the code is unknown, the status decides. Sources: PostgREST's error reference
(docs.postgrest.org, "Errors"), PostgreSQL's appendix A ("Error Codes"), and responses of PostgREST 12.0.2.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

import msgspec

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised
from relay.standards.numbers import parse_digits

UPSERTED_TWICE: Final = "21000"
"""PostgreSQL's code for a statement that would upsert one row twice."""

ROW_SECURITY: Final = "row_level_security"
"""The code of an outcome for a row that a policy hides."""

_INSUFFICIENT_PRIVILEGE: Final = "42501"
_USING: Final = "(USING expression)"
"""In PostgreSQL's message if an UPDATE policy hides the row that an upsert would update. Without it, 42501
concerns a grant, or the policy for new rows, and so every call."""

_LONGEST_MESSAGE: Final = 500


class ApiError(msgspec.Struct, frozen=True):
    """A response without success. `code` is None if the body is not PostgREST's, as a gateway's page.

    `after`: the seconds of `Retry-After`.
    """

    status: int
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    after: float | None = None


ApiFailure = ApiError | Outcome


class Cause(Enum):
    """What causes an error, and so what has to change before a request succeeds."""

    SERVER = auto()
    """The database or the connection to it: a later request may succeed."""
    LOAD = auto()
    """One statement took too long: a smaller one may succeed."""
    SIZE = auto()
    """One statement, or the values of one record, were too large."""
    RATE = auto()
    CREDENTIALS = auto()
    SETUP = auto()
    RECORD = auto()


_BY_CODE: Final = {
    "PGRST000": Cause.SERVER,
    "PGRST001": Cause.SERVER,
    "PGRST002": Cause.SERVER,
    "PGRST003": Cause.SERVER,
    "40001": Cause.SERVER,
    "40P01": Cause.SERVER,
    "55P03": Cause.SERVER,
    "55000": Cause.SETUP,
    "57014": Cause.LOAD,
    "PGRST301": Cause.CREDENTIALS,
    "PGRST302": Cause.CREDENTIALS,
    "PGRST303": Cause.CREDENTIALS,
    "PGRST106": Cause.SETUP,
    "PGRST202": Cause.SETUP,
    "PGRST204": Cause.SETUP,
    "PGRST205": Cause.SETUP,
    "PGRST116": Cause.RECORD,
    UPSERTED_TWICE: Cause.RECORD,
    "P0001": Cause.RECORD,
}
_BY_CLASS: Final = {
    "08": Cause.SERVER,
    "53": Cause.SERVER,
    "57": Cause.SERVER,
    "58": Cause.SERVER,
    "28": Cause.CREDENTIALS,
    "42": Cause.SETUP,
    "54": Cause.SIZE,
    "22": Cause.RECORD,
    "23": Cause.RECORD,
}
"""PostgreSQL's error classes: the first two characters of its codes, which have five."""

_BY_STATUS: Final = {
    401: Cause.CREDENTIALS,
    402: Cause.SETUP,
    403: Cause.CREDENTIALS,
    404: Cause.SETUP,
    405: Cause.SETUP,
    406: Cause.SETUP,
    408: Cause.SERVER,
    413: Cause.SIZE,
    425: Cause.SERVER,
    429: Cause.RATE,
    501: Cause.SETUP,
    540: Cause.SETUP,
}
_MEANING: Final = {
    401: "the key was refused",
    402: "the project is over its quota",
    403: "the key was refused",
    404: "there is no such table or address",
    413: "the request is too large",
    429: "too many requests",
    540: "the project is paused",
}
"""The message for a status if the body has none. 402 and 540 are Supabase's own."""

_TOO_LARGE: Final = frozenset({"http_413", "PT413"})
"""Codes of outcomes for a response with the status 413."""

_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_SQLSTATE_LENGTH: Final = 5


def parse_error(status: int, body: bytes, *, after: float | None = None) -> ApiError:
    """Parse an error response. A body that is not PostgREST's leaves all fields but the status empty.

    PostgreSQL's `details` are dropped: they repeat the row, and with it names and phone numbers.
    """
    fields = _decode_object(body)
    return ApiError(
        status,
        _text(fields, "code"),
        _text(fields, "message") or _text(fields, "msg"),
        _text(fields, "hint"),
        after,
    )


def error_details(body: bytes) -> str:
    """Return PostgREST's details of an error; they may contain names and phone numbers."""
    return _text(_decode_object(body), "details") or ""


def cause_of(error: ApiError) -> Cause:
    """Look up the exact code, then the code's class, then the status."""
    if _hides_row(error):
        return Cause.RECORD
    code = error.code or ""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if len(code) == _SQLSTATE_LENGTH and code[:2] in _BY_CLASS:
        return _BY_CLASS[code[:2]]
    raised = _raised_status(error)
    return _cause_of_status(error.status) if raised is None else _cause_of_raised_status(raised)


def is_too_large(outcome: Outcome) -> bool:
    """Whether one record was rejected only because its values are too large."""
    code = outcome.code or ""
    is_limit = len(code) == _SQLSTATE_LENGTH and _BY_CLASS.get(code[:2]) is Cause.SIZE
    return isinstance(outcome, Rejected) and (is_limit or code in _TOO_LARGE)


def to_outcome(error: ApiError, *, rows: int) -> Outcome:
    """Return the outcome of each call in a request with so many rows."""
    return _OUTCOMES[cause_of(error)](error, rows)


def describe(error: ApiError) -> str:
    """Return the error as one line for a person."""
    message = error.message or _MEANING.get(error.status) or "no explanation was given"
    line = f"Supabase answered {error.status}: {message}"
    return (f"{line} ({error.hint})" if error.hint else line)[:_LONGEST_MESSAGE]


def _outcome_code(error: ApiError) -> str:
    return ROW_SECURITY if _hides_row(error) else error.code or f"http_{error.status}"


def _hides_row(error: ApiError) -> bool:
    """Whether a policy of row level security hides one row; it may show others."""
    return error.code == _INSUFFICIENT_PRIVILEGE and _USING in (error.message or "")


def _raised_status(error: ApiError) -> int | None:
    """Return the status that a database function raised as `PTxyz` (PostgREST, "RAISE errors"), if any."""
    code = error.code or ""
    return parse_digits(code[2:]) if code[:2] == "PT" else None


def _cause_of_raised_status(status: int) -> Cause:
    """A function of the database refuses the record that it sees; the key and the table are accepted."""
    cause = _cause_of_status(status)
    return Cause.RECORD if cause in {Cause.CREDENTIALS, Cause.SETUP} else cause


def _cause_of_status(status: int) -> Cause:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < _FIRST_ERROR:
        return Cause.SETUP  # a redirect: the URL is not the API's
    return Cause.RECORD if status < _FIRST_SERVER_ERROR else Cause.SERVER


def _retry(error: ApiError, _rows: int) -> Outcome:
    return Retry(code=_outcome_code(error), message=describe(error), after=error.after)


def _throttled(error: ApiError, _rows: int) -> Outcome:
    return Throttled(code=_outcome_code(error), message=describe(error), after=error.after)


def _unauthorised(error: ApiError, _rows: int) -> Outcome:
    return Unauthorised(code=_outcome_code(error), message=describe(error))


def _misconfigured(error: ApiError, _rows: int) -> Outcome:
    return Misconfigured(code=_outcome_code(error), message=describe(error))


def _rejected_or_split(error: ApiError, rows: int) -> Outcome:
    """One statement writes all rows or none, and the error does not name the row."""
    outcome = Split if rows > 1 else Rejected
    return outcome(code=_outcome_code(error), message=describe(error))


def _retry_or_split(error: ApiError, rows: int) -> Outcome:
    return _rejected_or_split(error, rows) if rows > 1 else _retry(error, rows)


_OUTCOMES: Final[dict[Cause, Callable[[ApiError, int], Outcome]]] = {
    Cause.SERVER: _retry,
    Cause.LOAD: _retry_or_split,
    Cause.SIZE: _rejected_or_split,
    Cause.RATE: _throttled,
    Cause.CREDENTIALS: _unauthorised,
    Cause.SETUP: _misconfigured,
    Cause.RECORD: _rejected_or_split,
}


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _text(fields: dict[str, Any], key: str) -> str | None:
    value = fields.get(key)
    return value if isinstance(value, str) and value else None
