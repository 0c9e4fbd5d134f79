"""Which marks travel together. Pure."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from relay.ledger.deliveries import DueDelivery, Pick

_PATIENT: Final = 2
"""Failed attempts after which a mark is suspected of spoiling the batches that it travels in."""

_OLDEST_EVERY: Final = 5


def pick_order() -> Iterator[Pick]:
    """Fresh before old, but one slot in five goes to the oldest due."""
    for slot in count(1):
        yield Pick.OLDEST if slot % _OLDEST_EVERY == 0 else Pick.FRESH


def choose_batch(due: Sequence[DueDelivery], batch: int) -> list[DueDelivery]:
    """Those of these that travel with the first, sorted by call.

    After two failed attempts a mark travels in ever smaller batches, with its like: a record that
    breaks the CRM can look like a CRM that is down.
    """
    if not due:
        return []
    most = _size(due[0].attempts, batch)
    alike = [mark for mark in due if _size(mark.attempts, batch) == most]
    return sorted(alike[:most], key=lambda mark: mark.call.id)


def _size(attempts: int, batch: int) -> int:
    """A quarter of the batch after two failed attempts, a sixteenth after three, and so on."""
    return batch if attempts < _PATIENT else max(1, batch >> 2 * min(attempts - 1, 10))
