"""When to write the time at which a destination last delivered a call."""

from collections.abc import Sequence
from types import NoneType
from typing import Final

from crm_clients.base import Delivered, Outcome
from relay.delivery.choose_action import Found

_NO_FAILURES: Final = (Delivered, Found, NoneType)
"""The outcomes of attempts that did not fail. None: the call was not pushed."""


class LastDelivery:
    """Decides whether a push writes the time of the last delivery.

    The time is compared with the times of failed attempts, and with nothing else. So a push writes it only if
    an attempt may have failed in this push or since the time was last written, and most pushes write nothing.
    """

    def __init__(self) -> None:
        self._has_failed = True

    def reset(self) -> None:
        """Assume that an attempt failed: another worker may have served the destination."""
        self._has_failed = True

    def note_push(self, outcomes: Sequence[Outcome | None]) -> bool:
        """Remember whether the push failed, and return whether it writes the time. Called once for each push,
        before its transaction. If that fails, the worker calls `reset`.
        """
        delivers = any(isinstance(outcome, Delivered) for outcome in outcomes)
        fails = any(not isinstance(outcome, _NO_FAILURES) for outcome in outcomes)
        writes = delivers and (fails or self._has_failed)
        self._has_failed = fails or (self._has_failed and not delivers)
        return writes
