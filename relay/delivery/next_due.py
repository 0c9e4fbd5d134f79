"""When a delivery worker has to read the ledger for due deliveries."""

from typing import Final

from relay.instants import Instant

_AT_ONCE: Final = Instant(0)
_NEVER: Final = Instant(2**63 - 1)


class NextDue:
    """The earliest time at which a delivery may be due that is not being pushed.

    It may be too early, and is never too late. The worker calls `read_now` when something may have been
    enqueued, `begin_read` before it reads the due deliveries, and `note` with the time that this read, or the
    transaction that settled a push, has found.
    """

    def __init__(self) -> None:
        self.at = _AT_ONCE

    def read_now(self) -> None:
        """Read the ledger in the next round, whatever was known."""
        self.at = _AT_ONCE

    def begin_read(self) -> None:
        """Forget the time: the read finds it again. Before the read, not after it: a `read_now` that comes
        during the read asks for another one.
        """
        self.at = _NEVER

    def note(self, due_at: Instant | None) -> None:
        """Keep the earlier time. None: no delivery is pending."""
        if due_at is not None:
            self.at = min(self.at, due_at)
