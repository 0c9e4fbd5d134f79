"""Compression of bodies with Zstandard, each body in a frame of its own."""

import threading
from collections.abc import Sequence
from typing import Final

from zstandard import ZstdCompressor, ZstdDecompressor

_LEVEL: Final = 1
"""Higher levels make bodies of events hardly smaller, and take longer for large ones."""


class _OfThread(threading.local):
    """The compressor and the decompressor of a thread. To make them takes longer than to use them, and no two
    threads may use one at the same time.
    """

    def __init__(self) -> None:
        self.compressor = ZstdCompressor(level=_LEVEL)
        self.decompressor = ZstdDecompressor()


_of_thread: Final = _OfThread()


def compress(body: bytes) -> bytes:
    """Compress one body."""
    return _of_thread.compressor.compress(body)


def compress_many(bodies: Sequence[bytes]) -> list[bytes]:
    """Compress these bodies, of which at least one must not be empty.

    All are compressed in one call: each call releases the interpreter lock and waits for it again, up to
    5 ms while the event loop works.
    """
    frames = _of_thread.compressor.multi_compress_to_buffer(list(bodies))
    return [frames[index].tobytes() for index in range(len(frames))]


def decompress(frame: bytes) -> bytes:
    """Return the body in this frame."""
    return _of_thread.decompressor.decompress(frame)


def decompress_many(frames: Sequence[bytes]) -> list[bytes]:
    """Return the bodies in these frames."""
    decompress = _of_thread.decompressor.decompress
    return [decompress(frame) for frame in frames]
