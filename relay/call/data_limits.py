"""Limits of the data of a call: what its state keeps of everything that CloudTalk sent. The journal has all.

Values are kept in classes by their size, and each class keeps a number of them, those with the highest
orders. So the result does not depend on the order of arrival. A limit of all bytes would: a large value that
is replaced by a small one later would count, or not, depending on when other values arrive.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_BYTES: Final = 262_144
"""The limit of the data in the record, as JSON. A larger value is never kept."""

SMALL: Final = 256
"""The largest size in the lowest class, which has nearly all values."""

LARGE: Final = (1_024, 4_096, 16_384, 65_536, MAX_BYTES)
"""The largest sizes in the other classes."""

LEFT_OUT: Final = "_left_out"
"""The key in the record's data that says that the data is not complete."""

_SHORT: Final = 20
"""The length of a text that is small, whatever characters it and its key have: one takes up to six bytes."""

_encode = msgspec.json.Encoder().encode


def most_values(largest_size: int) -> int:
    """Return how many values the class with this largest size keeps: as many as may fit into the record.

    Each is larger than a quarter of the largest size, the limit of the class below.
    """
    return 4 * MAX_BYTES // largest_size


def size_of(key: str, value: object) -> int:
    """Return the bytes of a key and its value in a JSON object."""
    return len(_encode(key)) + len(_encode(value)) + 2


def split_by_size(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return the small values, the large values by `large_key`, and whether a value was left out."""
    small: dict[str, Any] = {}
    large: dict[str, Any] = {}
    left_out = False
    for key, value in data.items():
        size = 0 if _is_short(key, value) else size_of(key, value)
        if size <= SMALL:
            small[key] = value
        elif size <= MAX_BYTES:
            large[large_key(key, size)] = value
        else:
            left_out = True
    return small, large, left_out


def _is_short(key: str, value: object) -> bool:
    """Whether a value is small, without encoding it."""
    return len(key) <= _SHORT and (value is None or (type(value) is str and len(value) <= _SHORT))


def large_key(key: str, size: int) -> str:
    """Return the key of a large value in the state: it begins with the class."""
    return f"{next(largest for largest in LARGE if size <= largest)}:{key}"


def split_large_key(large_key_: str) -> tuple[int, str]:
    """Return the largest size of the class and the key in the data."""
    largest, _, key = large_key_.partition(":")
    return int(largest), key
