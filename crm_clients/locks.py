"""One at a time per customer: two pushes must not make two contacts, or two tasks, for one number."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager


class KeyedLock:
    """Locks by name, kept while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanted: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Have the turn of all these; taken in one order, so that nobody waits in a circle."""
        mine = sorted(set(names))
        self._wanted.update(mine)
        try:
            async with AsyncExitStack() as held:
                for name in mine:
                    await held.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
                yield
        finally:
            self._wanted.subtract(mine)
            for name in mine:
                if not self._wanted[name]:
                    self._wanted.pop(name)
                    self._locks.pop(name, None)
