"""Which due deliveries are pushed next, and which share a batch. Pure."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from relay.ledger.deliveries import DueDelivery, Pick

_FULL_BATCH_ATTEMPTS: Final = 2
"""A delivery with so many failed attempts may be the one that makes its batches fail."""

_OLDEST_EVERY: Final = 5


def pick_order() -> Iterator[Pick]:
    """Yield, without end, which deliveries each batch takes: the newest, and in one of five the oldest."""
    for slot in count(1):
        yield Pick.OLDEST if slot % _OLDEST_EVERY == 0 else Pick.FRESH


def choose_batch(due: Sequence[DueDelivery], batch: int) -> list[DueDelivery]:
    """Return the deliveries that are pushed together with the first one, sorted by call; at most `batch`.

    After two failed attempts a delivery travels in ever smaller batches, with others of as many attempts: a
    record that makes the CRM fail can look like a CRM that is down.
    """
    if not due:
        return []
    size = _batch_size(due[0].attempts, batch)
    alike = [delivery for delivery in due if _batch_size(delivery.attempts, batch) == size]
    return sorted(alike[:size], key=lambda delivery: delivery.call.id)


def _batch_size(attempts: int, batch: int) -> int:
    """A quarter of the batch after two failed attempts, a sixteenth after three, and so on."""
    return batch if attempts < _FULL_BATCH_ATTEMPTS else max(1, batch >> 2 * min(attempts - 1, 10))
