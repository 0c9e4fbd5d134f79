"""A memory that forgets with its process: for tests, and for looking at a CRM from the command line."""

import time
from collections.abc import Collection, Mapping

from crm_clients.base import ClientState


class InMemoryClientState(ClientState):
    """Keeps texts in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, float]] = {}

    async def get_many(self, keys: Collection[str], *, within: float | None = None) -> dict[str, str]:
        """What is kept under these keys, and not for longer than `within` seconds."""
        since = 0.0 if within is None else time.monotonic() - within
        found = {key: self.kept[key] for key in keys if key in self.kept}
        return {key: value for key, (value, at) in found.items() if at >= since}

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Keep these; None forgets."""
        for key, value in values.items():
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value, time.monotonic()
