"""Compression of bodies with Zstandard, each body in a frame of its own."""

from collections.abc import Sequence
from typing import Final

from zstandard import ZstdCompressor, ZstdDecompressor

_LEVEL: Final = 1
"""Higher levels make bodies of events hardly smaller, and take longer for large ones."""


def compress(body: bytes) -> bytes:
    """Compress one body."""
    return ZstdCompressor(level=_LEVEL).compress(body)


def compress_many(bodies: Sequence[bytes]) -> list[bytes]:
    """Compress these bodies, of which at least one must not be empty.

    All are compressed in one call: each call releases the interpreter lock and waits for it again, up to
    5 ms while the event loop works.
    """
    frames = ZstdCompressor(level=_LEVEL).multi_compress_to_buffer(list(bodies))
    return [frames[index].tobytes() for index in range(len(frames))]


def decompress(frame: bytes) -> bytes:
    """Return the body in this frame."""
    return ZstdDecompressor().decompress(frame)


def decompress_many(frames: Sequence[bytes]) -> list[bytes]:
    """Return the bodies in these frames."""
    decompressor = ZstdDecompressor()
    return [decompressor.decompress(frame) for frame in frames]
