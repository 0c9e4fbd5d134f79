"""Request heads: their size, their host, and the same head without an upgrade. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

Header = tuple[bytes, bytes]

_HOST_OF_TARGET: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def head_size(target: bytes, headers: Sequence[Header]) -> int:
    """Return the bytes of the target and of the header lines."""
    return len(target) + sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def with_host_of_target(target: bytes, headers: list[Header]) -> list[Header]:
    """Return the headers with the host of the target `http://host/path` as their Host (RFC 9112, 3.2.2)."""
    host = _HOST_OF_TARGET.match(target)
    if host is None:
        return headers
    return [*(header for header in headers if header[0] != b"host"), (b"host", host[1])]


def without_upgrade(method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """Return the bytes of a head that does not ask for another protocol."""
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [name + b": " + value for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def pieces(data: bytes, size: int) -> Iterator[memoryview]:
    """Yield the data in pieces of this size."""
    view = memoryview(data)
    return (view[start : start + size] for start in range(0, len(data), size))
