"""How many events the next batch of the fold has: fewer after a failure that a smaller batch may avoid."""

from typing import Final

from relay.ledger import LedgerUnavailable, journal
from relay.ledger.errors import LedgerTimeout

_MAX_EVENTS: Final = 200
"""The states of all their calls are in memory together, and no limit of bytes applies to them."""

FEW: Final = 16
"""Fewer events than these are folded in one transaction: to plan them takes about as long as a commit."""

_MAX_TIMEOUTS: Final = 3
"""After this number of timeouts an event that is folded alone is set aside. Before each try the ledger could
be written, to acquire the lease."""


class BatchSize:
    """The limits of the next batch. Each failure halves them, each success doubles them up to the usual ones.

    The worker reports each batch: `note_success` or `note_failure`.
    """

    def __init__(self) -> None:
        # The next batch has 1/divisor of the usual events and bytes.
        self._divisor = 1
        self._last_events = 0
        self._timeouts = 0

    @property
    def events(self) -> int:
        return max(_MAX_EVENTS // self._divisor, 1)

    @property
    def bytes(self) -> int:
        """The limit of the parsed forms of the events together."""
        return journal.MAX_FOLD_BYTES // self._divisor

    @property
    def expects_few(self) -> bool:
        """Whether the next batch will probably have few events, and none failed lately."""
        return self._last_events < FEW and self._divisor == 1

    def note_success(self, events: int) -> None:
        """Called after a batch of so many events was folded."""
        self._last_events = events
        self._divisor = max(self._divisor // 2, 1)
        self._timeouts = 0

    def note_failure(self, error: LedgerUnavailable) -> bool:
        """Called after a batch failed, perhaps because it is too large for the memory or for the time limit
        of a transaction. Return True if the first event, folded alone, timed out too often.
        """
        if self._divisor < _MAX_EVENTS:
            self._divisor *= 2
        elif isinstance(error, LedgerTimeout):
            self._timeouts += 1
            if self._timeouts == _MAX_TIMEOUTS:
                self._timeouts = 0
                return True
        return False
