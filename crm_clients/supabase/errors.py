"""What an answer of PostgREST means. Pure: the code decides first, the status where no code is known.

Sources: PostgREST's error reference (docs.postgrest.org, "Errors"), PostgreSQL's appendix A
("Error Codes"), and what PostgREST 12.0.2 was seen to answer.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

import msgspec

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised

_LONGEST_MESSAGE: Final = 500


class ApiError(msgspec.Struct, frozen=True):
    """An answer other than success. `code` is None where the body is not PostgREST's, as a gateway's page."""

    status: int
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    after: float | None = None


class Blame(Enum):
    """What is at fault, and so who has to wait or act."""

    SERVER = auto()
    """The database or the way to it: later it may work."""
    LOAD = auto()
    """Too much for one statement: less at once may work."""
    PACE = auto()
    CREDENTIALS = auto()
    SETUP = auto()
    RECORD = auto()


_BY_CODE: Final = {
    "PGRST000": Blame.SERVER,
    "PGRST001": Blame.SERVER,
    "PGRST002": Blame.SERVER,
    "PGRST003": Blame.SERVER,
    "40001": Blame.SERVER,
    "40P01": Blame.SERVER,
    "55P03": Blame.SERVER,
    "57014": Blame.LOAD,
    "PGRST301": Blame.CREDENTIALS,
    "PGRST302": Blame.CREDENTIALS,
    "PGRST303": Blame.CREDENTIALS,
    "PGRST106": Blame.SETUP,
    "PGRST202": Blame.SETUP,
    "PGRST204": Blame.SETUP,
    "PGRST205": Blame.SETUP,
    "21000": Blame.RECORD,
    "P0001": Blame.RECORD,
}
_BY_CLASS: Final = {
    "08": Blame.SERVER,
    "53": Blame.SERVER,
    "57": Blame.SERVER,
    "58": Blame.SERVER,
    "28": Blame.CREDENTIALS,
    "42": Blame.SETUP,
    "22": Blame.RECORD,
    "23": Blame.RECORD,
}
"""PostgreSQL's error classes, the first two letters of its five-letter codes."""

_BY_STATUS: Final = {
    401: Blame.CREDENTIALS,
    402: Blame.SETUP,
    403: Blame.CREDENTIALS,
    404: Blame.SETUP,
    405: Blame.SETUP,
    406: Blame.SETUP,
    408: Blame.SERVER,
    413: Blame.LOAD,
    425: Blame.SERVER,
    429: Blame.PACE,
    501: Blame.SETUP,
    540: Blame.SETUP,
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
"""What a status says where the body says nothing; 402 and 540 are Supabase's own."""

_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_SQLSTATE: Final = 5


def parse_error(status: int, body: bytes, *, after: float | None = None) -> ApiError:
    """The fault that an answer tells; a body that cannot be read leaves the status to speak.

    PostgreSQL's `details` are left out: they repeat the row, and with it names and numbers.
    """
    said = _object(body)
    return ApiError(
        status, _text(said, "code"), _text(said, "message") or _text(said, "msg"), _text(said, "hint"), after
    )


def blame(fault: ApiError) -> Blame:
    """Who is at fault: by the exact code, by the code's class, then by the status."""
    code = fault.code or ""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if len(code) == _SQLSTATE and code[:2] in _BY_CLASS:
        return _BY_CLASS[code[:2]]
    return _blame_by_status(_status(fault))


def outcome_of(fault: ApiError, *, rows: int) -> Outcome:
    """What a push of so many rows in one request came to."""
    return _OUTCOMES[blame(fault)](fault, rows)


def describe(fault: ApiError) -> str:
    """The fault in one line for a person."""
    said = fault.message or _MEANING.get(fault.status) or "no explanation was given"
    line = f"Supabase answered {fault.status}: {said}"
    return (f"{line} ({fault.hint})" if fault.hint else line)[:_LONGEST_MESSAGE]


def code_of(fault: ApiError) -> str:
    """The vendor's code, else the status as a word."""
    return fault.code or f"http_{fault.status}"


def _status(fault: ApiError) -> int:
    """The status, or the one that a database function raised as `PTxyz` (PostgREST, "RAISE errors")."""
    code = fault.code or ""
    return int(code[2:]) if code[:2] == "PT" and code[2:].isdigit() else fault.status


def _blame_by_status(status: int) -> Blame:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < _FIRST_ERROR:
        return Blame.SETUP  # a redirect: the address is not the API's
    return Blame.RECORD if status < _FIRST_SERVER_ERROR else Blame.SERVER


def _retry(fault: ApiError, _rows: int) -> Outcome:
    return Retry(code=code_of(fault), message=describe(fault), after=fault.after)


def _throttled(fault: ApiError, _rows: int) -> Outcome:
    return Throttled(code=code_of(fault), message=describe(fault), after=fault.after)


def _unauthorised(fault: ApiError, _rows: int) -> Outcome:
    return Unauthorised(code=code_of(fault), message=describe(fault))


def _misconfigured(fault: ApiError, _rows: int) -> Outcome:
    return Misconfigured(code=code_of(fault), message=describe(fault))


def _record(fault: ApiError, rows: int) -> Outcome:
    """One statement wrote them all or none, and does not say which row it was."""
    kind = Split if rows > 1 else Rejected
    return kind(code=code_of(fault), message=describe(fault))


def _load(fault: ApiError, rows: int) -> Outcome:
    if rows > 1:
        return Split(code=code_of(fault), message=describe(fault))
    too_large = fault.status == 413  # noqa: PLR2004 - Content Too Large
    return _record(fault, rows) if too_large else _retry(fault, rows)


_OUTCOMES: Final[dict[Blame, Callable[[ApiError, int], Outcome]]] = {
    Blame.SERVER: _retry,
    Blame.LOAD: _load,
    Blame.PACE: _throttled,
    Blame.CREDENTIALS: _unauthorised,
    Blame.SETUP: _misconfigured,
    Blame.RECORD: _record,
}


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: dict[str, Any], key: str) -> str | None:
    value = said.get(key)
    return value if isinstance(value, str) and value else None
