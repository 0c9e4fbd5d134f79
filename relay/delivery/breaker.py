"""The breaker: a CRM that fails for everybody is left alone for a while. Pure."""

from collections.abc import Sequence
from typing import Final

from crm_clients.base import Outcome, Retry, Split, Unknown
from relay.delivery.purpose import Found
from relay.ledger.deliveries import DueDelivery
from relay.ledger.destinations import Pause

FAILING: Final = "failing"
"""The reason of a destination that waits because nothing gets through."""

_PUSHES_IN_A_ROW: Final = 5
_CALLS_IN_A_ROW: Final = 20
_FIRST_WAIT_SECONDS: Final = 5.0
_LONGEST_WAIT_SECONDS: Final = 60.0
_FAILURES: Final = (Retry, Unknown, Split)


class Breaker:
    """Counts the pushes in a row in which nothing got through.

    Calls that failed before do not count by themselves: one that breaks the CRM each time says nothing
    about the others. But no twenty calls do. The first wait is short, as most restarts are; then they
    double up to a minute.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._pushes = 0
        self._calls: set[str] = set()
        self._waits = 0

    def note(self, due: Sequence[DueDelivery], outcomes: Sequence[Outcome | None]) -> Pause | None:
        """Count this push; the wait that it makes necessary, if it does."""
        pairs = zip(due, outcomes, strict=True)
        told = [(mark, o) for mark, o in pairs if o is not None and not isinstance(o, Found)]
        if any(not isinstance(outcome, _FAILURES) for _, outcome in told):
            self.close()
        elif told:
            self._count([mark for mark, _ in told])
        return self.open(told[0][1]) if self._is_full() else None

    def _count(self, failed: Sequence[DueDelivery]) -> None:
        self._pushes += 1
        self.failures += any(not mark.attempts for mark in failed)
        if len(self._calls) < _CALLS_IN_A_ROW:
            self._calls |= {mark.call.id for mark in failed}

    def _is_full(self) -> bool:
        several = self._pushes >= _PUSHES_IN_A_ROW and len(self._calls) >= _CALLS_IN_A_ROW
        return several or self.failures >= _PUSHES_IN_A_ROW

    def open(self, outcome: Outcome) -> Pause:
        """Wait, longer each time. What fails meanwhile was under way before, and is counted anew."""
        self._forget()
        seconds = min(_FIRST_WAIT_SECONDS * 2**self._waits, _LONGEST_WAIT_SECONDS)
        self._waits += 1
        return Pause(FAILING, seconds, outcome.code, outcome.message)

    def close(self) -> None:
        """Something got through."""
        self._forget()
        self._waits = 0

    def _forget(self) -> None:
        self.failures = self._pushes = 0
        self._calls.clear()
