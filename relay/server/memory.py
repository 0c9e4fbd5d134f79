"""Memory that large bodies used is given to the operating system again."""

import ctypes
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 1024 * 1024


def return_large_blocks() -> None:
    """Let glibc map each block of 1 MiB or more on its own, and unmap it when it is freed.

    By default glibc raises this limit to 32 MiB after the first large block. Then large blocks are parts of
    the heaps of the threads, which keep them. Other C libraries have no such function.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
