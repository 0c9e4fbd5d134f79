"""The last requests that were refused: `relay check` and the overview show them, because CloudTalk may have
sent them with a wrong token.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from relay.cloudtalk.authentication import AuthProblem
from relay.cloudtalk.request import RequestHead
from relay.instants import Instant
from relay.ledger import Ledger, LedgerError, warnings
from relay.ledger.connection import Connection
from relay.ledger.warnings import REFUSED

INTERVAL_SECONDS: Final = 60.0
"""Anybody can send requests that are refused, at any rate, and each write is a commit."""

_CHECK_SECONDS: Final = 1.0
_NO_ADDRESS: Final = "-"

OF_SENDERS: Final = frozenset(
    {
        AuthProblem.NO_TOKEN,
        AuthProblem.WRONG_TOKEN,
        AuthProblem.NO_SIGNATURE,
        AuthProblem.WRONG_SIGNATURE,
        AuthProblem.FORWARDED,
        AuthProblem.NOT_LOCAL,
    }
)
"""Why a request of CloudTalk is refused if the set-up of CloudTalk or of the relay is wrong."""

_EVENT_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
"""Programs that look for weaknesses of any server send GET above all."""


class RefusedSenders:
    """Stores the last refused request of each kind, at most once in the interval, and never while the request
    waits. `now` returns monotonic seconds.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._now = now
        self._next_at = now()
        self._last: dict[AuthProblem, tuple[Instant, str]] = {}

    def add(self, head: RequestHead, problem: AuthProblem) -> None:
        """Remember a request that was refused, if CloudTalk may have sent it."""
        if problem in OF_SENDERS and head.method in _EVENT_METHODS:
            self._last[problem] = (self._ledger.now(), head.client or _NO_ADDRESS)

    async def run(self) -> None:
        """Store what was refused, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            await self.store()

    async def store(self) -> None:
        """Store the last refused requests, if any, and if the interval is over."""
        if not self._last or self._now() < self._next_at:
            return
        self._next_at = self._now() + INTERVAL_SECONDS
        stored, self._last = self._last, {}

        def write(connection: Connection) -> None:
            for problem, (at, client) in stored.items():
                warnings.record(connection, f"{REFUSED}{problem}", at, client)

        try:
            await self._ledger.write(write)
        except LedgerError:
            self._last = stored | self._last  # the ledger logs its failure
