"""Threads for the parsing of large bodies, so that the event loop serves other requests meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from relay.cloudtalk.request import RawRequest

T = TypeVar("T")

_MAX_INLINE_BYTES: Final = 16_384
"""A smaller body is parsed in less than 10 ms, whatever is in it."""


def is_small(request: RawRequest) -> bool:
    """Whether the body is small, also decompressed, so that no thread is needed."""
    return len(request.raw) <= _MAX_INLINE_BYTES and not request.is_compressed


class ParsingThreads:
    """One thread for authenticated requests, and one for the others, on which the former never wait."""

    def __init__(self) -> None:
        self._authenticated = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._unauthenticated = ThreadPoolExecutor(1, thread_name_prefix="parse-unauthenticated")

    async def run(self, work: Callable[[], T], request: RawRequest, *, authenticated: bool) -> T:
        """Return the result of this work on the request: at once if its body is small, else from a thread."""
        if is_small(request):
            return work()
        executor = self._authenticated if authenticated else self._unauthenticated
        return await asyncio.get_running_loop().run_in_executor(executor, work)
