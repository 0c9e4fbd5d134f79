"""Deliveries: which version of a call each destination needs, and which one it has.

There is one delivery for each destination and call, however many events the call gets: a push sends the
newest version. `enqueueing` makes deliveries pending, `picking` chooses those to attempt, `settling` writes
the result of an attempt, `holding` leaves calls for later, `erasing` is about forgotten calls, and `counting`
and `reports` read for people. Import from here.
"""

from relay.ledger.deliveries.counting import count_delivered, counts_by_destination
from relay.ledger.deliveries.enqueueing import enqueue
from relay.ledger.deliveries.erasing import (
    Erasure,
    OpenErasure,
    count_erasures,
    enqueue_erasures,
    erase_again,
    finish_erasures,
    list_open_erasures,
)
from relay.ledger.deliveries.holding import end_waits, hold, keep
from relay.ledger.deliveries.picking import (
    ANY_ATTEMPTS,
    MAX_BATCH_BYTES,
    Pick,
    end_backoff,
    make_due_now,
    next_due_at,
    take_due,
)
from relay.ledger.deliveries.reports import (
    count_other_renderings,
    first_delivered_at,
    get_many,
    list_for_call,
    owners_of,
    states_of_calls,
)
from relay.ledger.deliveries.rows import DeliveryCounts, DeliveryRow, DeliveryUpdate, DueDelivery
from relay.ledger.deliveries.settling import requeue_after_lost_lease, requeue_rejected_run, settle

__all__ = [
    "ANY_ATTEMPTS",
    "MAX_BATCH_BYTES",
    "DeliveryCounts",
    "DeliveryRow",
    "DeliveryUpdate",
    "DueDelivery",
    "Erasure",
    "OpenErasure",
    "Pick",
    "count_delivered",
    "count_erasures",
    "count_other_renderings",
    "counts_by_destination",
    "end_backoff",
    "end_waits",
    "enqueue",
    "enqueue_erasures",
    "erase_again",
    "finish_erasures",
    "first_delivered_at",
    "get_many",
    "hold",
    "keep",
    "list_for_call",
    "list_open_erasures",
    "make_due_now",
    "next_due_at",
    "owners_of",
    "requeue_after_lost_lease",
    "requeue_rejected_run",
    "settle",
    "states_of_calls",
    "take_due",
]
