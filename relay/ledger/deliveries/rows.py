"""The rows that the queries on deliveries take and return."""

from typing import Final

import msgspec
from sqlalchemy import and_, bindparam, case

from relay.call import Call
from relay.instants import Duration, Instant
from relay.ledger.states import DeliveryState, has_state
from relay.ledger.tables import deliveries

EARLIEST_DUE: Final = case(
    (deliveries.c.not_before > bindparam("now"), deliveries.c.not_before), else_=bindparam("now")
)
"""When a delivery is due if nothing but the CRM delays it. Parameter: `now`."""

IS_PENDING: Final = has_state(deliveries.c.state, DeliveryState.PENDING)


IS_HELD: Final = deliveries.c.not_before == deliveries.c.pending_since
"""Whether a pending delivery waits on purpose, until its call is complete: see `hold`."""

KEEPS_SCHEDULE: Final = and_(IS_PENDING, deliveries.c.not_before.is_distinct_from(deliveries.c.pending_since))
"""Whether a newer version leaves the backoff of a delivery as it is. It ends the wait of one that is held."""


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery as it is stored.

    `version` is the newest one that was enqueued, `delivered_version` the one that the CRM has (0: none).
    `attempts` were made since it became pending; `failing_for` is the part of that time in which the
    destination took other calls. `outcome`, `code` and `message` are those of the last attempt. `not_before`:
    the CRM asked for no attempt before; `due_at` is never earlier. `rendering`: the settings by which the
    record in the CRM was written, see `DestinationSettings.rendering`. `partial`: the record in the CRM may
    have more than the ledger, because the first delivery of the call found it or retention deleted the call.
    `restored`: see `mark_restored`.
    """

    destination: str
    call: str
    state: DeliveryState
    version: int
    delivered_version: int
    first_delivered_at: Instant | None
    pending_since: Instant
    due_at: Instant
    attempts: int
    attempted_at: Instant | None
    failing_for: Duration
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None
    not_before: Instant | None
    rewrite: bool = False
    rendering: str | None = None
    partial: bool = False
    restored: bool = False

    @property
    def is_held(self) -> bool:
        """Whether it waits on purpose, until its call is complete."""
        return self.state is DeliveryState.PENDING and self.not_before == self.pending_since


class DueDelivery(msgspec.Struct, frozen=True):
    """A delivery to attempt, with the newest version of its call; see `DeliveryRow`.

    `field_versions`: for each field of the call the version in which it changed last. `rewrite`: a replay
    asked for the whole record. `changed_at`: see the table `calls`. `has_waited`: it was held in this version
    of the call, and its wait is over. `erase`: the call was forgotten and the CRM is to erase it; `call` has
    only what the client needs for that.
    """

    call: Call
    field_versions: dict[str, int]
    delivered_version: int
    attempts: int
    attempted_at: Instant | None
    failing_for: Duration
    remote_id: str | None
    outcome: str | None
    rewrite: bool = False
    rendering: str | None = None
    partial: bool = False
    changed_at: Instant = Instant(0)
    has_waited: bool = False
    erase: bool = False


class DeliveryUpdate(msgspec.Struct, frozen=True):
    """The result of an attempt; see `DeliveryRow`. `version` is the one that was pushed: if a newer one was
    enqueued meanwhile, the delivery stays pending. `rewrite`: as it was when the push began.
    """

    call: str
    version: int
    state: DeliveryState
    delivered_version: int
    due_at: Instant
    attempts: int
    attempted_at: Instant | None
    failing_for: Duration
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None
    not_before: Instant | None = None
    rewrite: bool = False
    rendering: str | None = None
    partial: bool = False


class DeliveryCounts(msgspec.Struct, frozen=True):
    """How many deliveries of a destination are in each state, and since when the oldest one is pending.

    `held`: those of the pending ones that wait until their call is complete, and those whose wait is over
    while their first attempt is not settled. If all of them still wait, the oldest one is pending since an
    instant in the future.
    """

    pending: int = 0
    delivered: int = 0
    dead: int = 0
    oldest_pending_since: Instant | None = None
    held: int = 0
