"""JSON to values that can be stored.

A fast decoder parses nearly all JSON. A slow one parses again what the fast one refuses or what may hold more
than can be stored, to find out what is wrong and where. A call is worth more than a character: what is no
character, or cannot be stored, becomes U+FFFD.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

import msgspec

from relay.cloudtalk.errors import InvalidPayload, pointer_step

MAX_DEPTH: Final = 64
"""The limit of nested objects and arrays."""

_MAX_INTEGER: Final = 2**63 - 1
"""A database column of 64 bits holds no larger number."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL holds no U+0000, and half a surrogate pair is no character."""

_REPLACEMENT: Final = "\ufffd"
_DIGITS_TO_ZERO: Final = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord(" ") for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""With all digits replaced by zero, a number of this length may exceed 64 bits. A regular expression would
cost more than the decoder."""

_decoder = msgspec.json.Decoder()


def parse_json(raw: bytes) -> Any:
    """Decode JSON. Raises `InvalidPayload`: 400 for no JSON, 422 for a value that cannot be stored."""
    try:
        value = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_slowly(raw)
    return make_storable(value) if _may_be_unstorable(raw) else value


def _may_be_unstorable(raw: bytes) -> bool:
    return (
        b"\\u0000" in raw
        or _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO)
        or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH
    )


def _parse_slowly(raw: bytes) -> Any:
    """A text may contain control characters: people type templates around values with several lines."""
    try:
        value = json.loads(raw.decode(errors="replace"), strict=False, parse_constant=_reject_constant)
    except RecursionError as error:
        raise InvalidPayload("too_deep", f"nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise InvalidPayload("not_json", f"the body is not JSON: {error}", status=400) from error
    return make_storable(value)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def make_storable(value: Any, pointer: str = "", depth: int = 0) -> Any:
    """Return the value with U+FFFD in place of characters that a database or a CRM could not hold.

    Raises `InvalidPayload` (422) for a number that they could not hold, and for deep nesting.
    """
    if depth > MAX_DEPTH:
        raise InvalidPayload("too_deep", f"nested deeper than {MAX_DEPTH} levels", pointer)
    match value:
        case dict():
            storable = {make_text_storable(key): item for key, item in value.items()}
            return {
                key: make_storable(item, pointer + pointer_step(key), depth + 1)
                for key, item in storable.items()
            }
        case list():
            return [make_storable(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
        case str():
            return make_text_storable(value)
        case int() | float():
            _check_number(value, pointer)
    return value


def make_text_storable(text: str) -> str:
    """Return the text with U+FFFD in place of what is no character or cannot be stored."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def _check_number(number: float, pointer: str) -> None:
    fits = abs(number) <= _MAX_INTEGER if isinstance(number, int) else math.isfinite(number)
    if not fits:
        raise InvalidPayload("unstorable_number", "a number of more than 64 bits", pointer)
