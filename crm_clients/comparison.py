"""Find doubles, and compare a value that a client would write with the one that the CRM has."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec

from relay.call import Call

IDENTITY_FIELDS: Final = ("call_id", "call_uuid")
"""Fields that identify a call besides its id: another record with one of them is a double."""

_ID_PREFIX: Final = "cloudtalk-"

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_TRUE: Final = frozenset({"true", "t", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "f", "0", "no", "off"})
_UUID_LENGTH: Final = 36
_DATE_LENGTH: Final = len("2026-01-12")

_SHORTEST_UNIT: Final = timedelta(seconds=1)
"""A column may have whole seconds only, and PostgreSQL rounds to them (`timestamptz(0)`)."""


def other_ids(call: Call) -> list[str]:
    """Return the ids that the call would have if it were named by another of CloudTalk's ids.

    CloudTalk's webhooks send one of the two, so a program that writes a record per webhook has both, and so
    has a relay whose ledger was lost.
    """
    ids = (_ID_PREFIX + id_ for field in IDENTITY_FIELDS if (id_ := getattr(call, field)))
    return [id_ for id_ in dict.fromkeys(ids) if id_ != call.id]


def is_same(written: Any, stored: Any) -> bool:
    """Whether the CRM has this value, perhaps in the form of the type of its column.

    A whole number may be a text, a decimal or a truth value; a time may have another spelling, offset or
    precision; JSON may be a text, with other keys besides; an empty value may be null. A time without an
    offset is UTC: PostgreSQL ignores the offset of a text that becomes a `timestamp`.
    """
    if written in _EMPTY or stored in _EMPTY:
        return written in _EMPTY and _decode(stored) in _EMPTY
    if isinstance(written, dict | list):
        return _is_same_json(written, _decode(stored))
    if isinstance(written, bool):
        return str(stored).strip().lower() in (_TRUE if written else _FALSE)
    return written == stored or _is_same_text(str(written), _to_text(stored))


def _is_same_json(written: Any, stored: Any) -> bool:
    """A trigger may add keys to an object, so the keys that are not written do not count."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return all(key in stored and _is_same_json(value, stored[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(stored, list):
        return len(written) == len(stored) and all(map(_is_same_json, written, stored))
    if isinstance(written, float) and isinstance(stored, int):
        # PostgreSQL writes 2.5e16 with all its digits, as a whole number that no float need equal.
        stored = stored if isinstance(stored, bool) else float(stored)
    return bool(written == stored) and isinstance(written, bool) == isinstance(stored, bool)


def _is_same_text(written: str, stored: str) -> bool:
    # PostgreSQL fills `char(n)` with spaces.
    return (
        written.rstrip() == stored.rstrip()
        or _is_same_time(written, stored)
        or _is_same_number(written, stored)
        or _is_same_uuid(written, stored)
    )


def _is_same_time(written: str, stored: str) -> bool:
    if not written.endswith("Z"):
        return False
    one, two = _parse_time(written), _parse_time(stored)
    if one is None or two is None:
        return False
    if len(stored) == _DATE_LENGTH:
        return one.date() == two.date()
    return abs(one - two) < _SHORTEST_UNIT


def _parse_time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_same_number(written: str, stored: str) -> bool:
    """A phone number may be in a column of numbers, without its plus."""
    try:
        return Decimal(written) == Decimal(stored)
    except InvalidOperation:
        return False


def _is_same_uuid(written: str, stored: str) -> bool:
    if len(written) != _UUID_LENGTH:
        return False
    try:
        return UUID(written) == UUID(stored)
    except ValueError:
        return False


def _to_text(stored: Any) -> str:
    return stored if isinstance(stored, str) else msgspec.json.encode(stored).decode()


def _decode(stored: Any) -> Any:
    """Return the JSON in a column of texts; any other value as it is."""
    if not isinstance(stored, str):
        return stored
    try:
        return msgspec.json.decode(stored)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return stored
