"""Failed authentications: counted for each address, logged in sum, and throttled.

Throttling changes only how a refused request is answered. A request with valid credentials is accepted
however many requests from its address failed, since behind a proxy all senders have one address.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

import msgspec

from relay.logs import get_logger
from relay.standards.addresses import network_of

log = get_logger("relay.ingest")

PERIOD_SECONDS: Final = 60
"""The log has at most one line for an address in this time."""

MAX_FAILURES: Final = 60
"""After so many failures within the period an address is throttled until its end, unless its area has a
limit of its own."""

_MAX_ADDRESSES: Final = 1_000
_OTHERS: Final = "others"
"""Addresses beyond the limit are counted as one, so that they fill neither the memory nor the log."""

_CHECK_SECONDS: Final = 1.0


class _Address(msgspec.Struct):
    """The failures of one address in the current period; `unlogged` of them have no line in the log yet."""

    client: str
    reason: str
    period_end: float
    failures: int = 0
    unlogged: int = 0


class AuthFailures:
    """Counts the requests of one process that were not authenticated. `now` returns monotonic seconds.

    `area`: what was asked for, such as `webhook` or `metrics`. Each area has an instance of its own.
    An address is throttled after `max_failures` within the period.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        *,
        area: str = "webhook",
        max_failures: int = MAX_FAILURES,
    ) -> None:
        self._now = now
        self._area = area
        self._max_failures = max_failures
        self._addresses: dict[str, _Address] = {}

    def record(self, client: str | None, reason: str) -> int | None:
        """Count a failure. Return the seconds for which its address is throttled, None if it is not.

        The first failure of an address is logged at once, further ones in sum at the end of the period.
        """
        network = network_of(client or "")
        if network not in self._addresses and len(self._addresses) >= _MAX_ADDRESSES:
            network = client = _OTHERS
        address = self._addresses.get(network)
        if address is None:
            address = _Address(client or "", reason, self._now() + PERIOD_SECONDS, unlogged=1)
            self._addresses[network] = address
            self._log(address)
        else:
            address.unlogged += 1
            address.client, address.reason = client or "", reason
        address.failures += 1
        if address.failures <= self._max_failures:
            return None
        return max(1, math.ceil(address.period_end - self._now()))

    async def run(self) -> None:
        """Log the failures of each period when it ends, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_CHECK_SECONDS)
                self.end_periods()
        finally:
            for address in self._addresses.values():
                self._log(address)

    def end_periods(self) -> None:
        """Log the periods that are over, and forget the addresses without failures."""
        now = self._now()
        over = [network for network, address in self._addresses.items() if address.period_end <= now]
        for network in over:
            address = self._addresses.pop(network)
            if address.unlogged:
                self._log(address)
                address.failures, address.period_end = 0, now + PERIOD_SECONDS
                self._addresses[network] = address

    def _log(self, address: _Address) -> None:
        if address.unlogged:
            log.warning(
                "ingest.unauthorised",
                area=self._area,
                reason=address.reason,
                client=address.client,
                failures=address.unlogged,
            )
            address.unlogged = 0
