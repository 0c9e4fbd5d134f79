"""The persistent state of a CRM client, kept in the ledger."""

from collections.abc import Collection, Mapping

from crm_clients.base import ClientState
from relay.instants import Instant, duration
from relay.ledger import Ledger, client_state


class LedgerClientState(ClientState):
    """The state of one destination's client, shared by all processes that serve the destination."""

    def __init__(self, ledger: Ledger, destination: str) -> None:
        self._ledger = ledger
        self._destination = destination

    async def get_many(
        self, keys: Collection[str], *, max_age_seconds: float | None = None
    ) -> dict[str, str]:
        """Return the values by key; an unknown key is absent, as is a value older than `max_age_seconds`."""
        if not keys:
            return {}
        since = Instant(0)
        if max_age_seconds is not None:
            since = Instant(self._ledger.now() - duration(max_age_seconds))
        return await self._ledger.read(
            lambda connection: client_state.get_many(connection, self._destination, keys, since=since)
        )

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Set these values; None removes one."""
        if not values:
            return
        now = self._ledger.now()
        await self._ledger.write(
            lambda connection: client_state.set_many(connection, self._destination, values, now=now)
        )
