"""Locks by key. Two concurrent pushes must not create two contacts, or two tasks, for one number."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager


class KeyedLock:
    """One asyncio lock per key; a lock is removed when nobody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def acquire(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of all these keys. They are acquired in sorted order, which excludes deadlocks."""
        ordered = sorted(set(keys))
        self._users.update(ordered)
        try:
            async with AsyncExitStack() as held:
                for key in ordered:
                    await held.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
                yield
        finally:
            self._users.subtract(ordered)
            for key in ordered:
                if not self._users[key]:
                    self._users.pop(key)
                    self._locks.pop(key, None)
