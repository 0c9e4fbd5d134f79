"""The `Range` header (RFC 9110, 14): which bytes of a recording a request asks for."""

import re
from typing import Final, NamedTuple

MAX_RANGES: Final = 8
"""A request for more parts gets the whole recording, as the standard allows."""

_UNIT: Final = re.compile(r"bytes[ \t]*=", re.IGNORECASE)
_PART: Final = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


class ByteRange(NamedTuple):
    """The bytes from `start` to before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """Return the value of `Content-Range`."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):
    """No part of the range is inside the recording: 416."""


def parse_ranges(header: str | None, size: int) -> list[ByteRange]:
    """Return the parts that are asked for; none means the whole recording.

    A header of another unit, or one that is malformed, is ignored. Parts outside of the recording are left
    out. Raises `Unsatisfiable` if none is left.
    """
    if header is None or (unit := _UNIT.match(header.strip())) is None:
        return []
    written = [part.strip(" \t") for part in header.strip()[unit.end() :].split(",")]
    parts = [_PART.fullmatch(part) for part in written if part]
    if not parts or len(parts) > MAX_RANGES:
        return []
    found: list[ByteRange] = []
    for part in parts:
        if part is None or not (part[1] or part[2]) or _is_reversed(part):
            return []
        if (byte_range := _resolve(part, size)) is not None:
            found.append(byte_range)
    if not found:
        raise Unsatisfiable
    return [] if sum(each.length for each in found) > size else found


def _is_reversed(part: re.Match[str]) -> bool:
    return bool(part[1] and part[2]) and int(part[1]) > int(part[2])


def _resolve(part: re.Match[str], size: int) -> ByteRange | None:
    """Return the bytes of one part; None if it has none inside the recording."""
    if not part[1]:  # the last bytes
        length = min(int(part[2]), size)
        return ByteRange(size - length, size) if length else None
    start = int(part[1])
    end = min(int(part[2]) + 1, size) if part[2] else size
    return ByteRange(start, end) if start < size else None
