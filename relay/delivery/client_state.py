"""A client's memory, kept in the ledger."""

from collections.abc import Collection, Mapping
from typing import Final

from crm_clients.base import ClientState
from relay.ledger import Ledger, client_state

_SECOND: Final = 1_000_000


class LedgerClientState(ClientState):
    """What the client of one destination keeps, for every process that serves it."""

    def __init__(self, ledger: Ledger, destination: str) -> None:
        self._ledger = ledger
        self._destination = destination

    async def get_many(
        self, keys: Collection[str], *, max_age_seconds: float | None = None
    ) -> dict[str, str]:
        """What is kept under these keys, and not for longer than `max_age_seconds`."""
        since = 0 if max_age_seconds is None else self._ledger.now() - int(max_age_seconds * _SECOND)
        return await self._ledger.read(
            lambda connection: client_state.get_many(connection, self._destination, keys, since=since)
        )

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Keep these; None forgets."""
        now = self._ledger.now()
        await self._ledger.write(
            lambda connection: client_state.set_many(connection, self._destination, values, now=now)
        )
