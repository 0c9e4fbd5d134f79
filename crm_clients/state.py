"""Client state in memory: for tests, and for CLI commands that only read from a CRM."""

import time
from collections.abc import Callable, Collection, Mapping

from crm_clients.base import ClientState


class InMemoryClientState(ClientState):
    """Client state that ends with the process.

    `entries` maps each key to its text and the time of writing, in seconds of `clock`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.entries: dict[str, tuple[str, float]] = {}
        self._clock = clock

    async def get_many(
        self, keys: Collection[str], *, max_age_seconds: float | None = None
    ) -> dict[str, str]:
        """Implement `ClientState.get_many`."""
        oldest = 0.0 if max_age_seconds is None else self._clock() - max_age_seconds
        found = {key: self.entries[key] for key in keys if key in self.entries}
        return {key: text for key, (text, written_at) in found.items() if written_at >= oldest}

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Implement `ClientState.set_many`."""
        for key, text in values.items():
            if text is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = text, self._clock()
