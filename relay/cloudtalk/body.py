"""From bytes to a JSON value that every database and CRM can hold.

The fast decoder takes nearly all bodies. What it refuses, and what looks as if it could hold more
than can be stored, is looked at again, slowly, to say what is wrong and where.
"""

import json
import math
from typing import Any, Final, NoReturn

import msgspec

from relay.cloudtalk.errors import InvalidPayload, step

DEEPEST: Final = 64
_LARGEST: Final = 2**63 - 1
"""What a 64-bit column holds."""

_DIGITS_TO_ZERO: Final = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord(" ") for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""What a number that 64 bits may not hold looks like, once all digits are zero: an expression would
cost more than the decoder.
"""

_decoder = msgspec.json.Decoder()


def parse(raw: bytes) -> Any:
    """The JSON value in `raw`. Raises `InvalidPayload`: 400 what is not JSON, 422 what cannot be kept."""
    try:
        value = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_slowly(raw)
    if _is_suspicious(raw):
        inspect(value)
    return value


def _is_suspicious(raw: bytes) -> bool:
    return (
        b"\\u0000" in raw
        or _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO)
        or raw.count(b"{") + raw.count(b"[") > DEEPEST
    )


def _parse_slowly(raw: bytes) -> Any:
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidPayload("not_json", f"the body is not UTF-8: byte {error.start}", status=400) from error
    except RecursionError as error:
        raise InvalidPayload("too_deep", f"nested deeper than {DEEPEST} levels") from error
    except ValueError as error:
        raise InvalidPayload("not_json", f"the body is not JSON: {error}", status=400) from error
    inspect(value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def inspect(value: Any, pointer: str = "", depth: int = 0) -> None:
    """Refuse what some database or CRM behind the relay could not hold."""
    if depth > DEEPEST:
        raise InvalidPayload("too_deep", f"nested deeper than {DEEPEST} levels", pointer)
    match value:
        case dict():
            for key, item in value.items():
                _inspect_text(key, pointer)
                inspect(item, pointer + step(key), depth + 1)
        case list():
            for index, item in enumerate(value):
                inspect(item, f"{pointer}/{index}", depth + 1)
        case str():
            _inspect_text(value, pointer)
        case int() | float():
            _inspect_number(value, pointer)


def _inspect_text(value: str, pointer: str) -> None:
    if "\x00" in value:
        raise InvalidPayload("unstorable_text", "text with a null character (\\u0000)", pointer)
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidPayload("unstorable_text", "half a surrogate pair is no character", pointer)


def _inspect_number(value: float, pointer: str) -> None:
    fits = abs(value) <= _LARGEST if isinstance(value, int) else math.isfinite(value)
    if not fits:
        raise InvalidPayload("unstorable_number", "a number larger than 64 bits hold", pointer)
