"""Memory that a load used is given to the operating system again."""

import asyncio
import ctypes
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from relay.ledger import LedgerUnavailable

_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 1024 * 1024

_WATCH_SECONDS: Final = 3.0
_BUSY: Final = 0.2
_IDLE: Final = 0.05
"""The share of a core from which a process is busy, and below which it is idle."""


def return_large_blocks() -> None:
    """Let glibc map each block of 1 MiB or more on its own, and unmap it when it is freed.

    By default glibc raises this limit to 32 MiB after the first large block. Then large blocks are parts of
    the heaps of the threads, which keep them. Other C libraries have no such function.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def return_when_idle(
    free_caches: Callable[[], Awaitable[None]],
    *,
    watch_seconds: float = _WATCH_SECONDS,
    cpu_seconds: Callable[[], float] = time.process_time,
) -> None:
    """Free the caches when the process is idle after it was busy, and return all memory that is free.

    Runs until cancelled.
    """
    was_busy, before = False, cpu_seconds()
    while True:
        await asyncio.sleep(watch_seconds)
        now = cpu_seconds()
        share, before = (now - before) / watch_seconds, now
        if share >= _BUSY:
            was_busy = True
        elif was_busy and share < _IDLE:
            was_busy = False
            with suppress(LedgerUnavailable):  # its caches may then stay
                await free_caches()
            await asyncio.to_thread(_return_free_pages)


def _return_free_pages() -> None:
    """Return the pages of all heaps that nothing uses. Only glibc has this function."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
