"""Deliveries as a worker takes them from the ledger, and as it writes them back."""

from typing import Any

import msgspec

from relay.instants import Duration, Instant
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.states import DeliveryState
from tests.support.samples import make_call


def due_delivery(id: str = "cloudtalk-1", *, version: int = 1, **changes: Any) -> DueDelivery:  # noqa: A002 - the record's own word
    """A delivery that was never attempted, of this version of the call."""
    due = DueDelivery(
        call=make_call(version, id),
        field_versions={},
        delivered_version=0,
        attempts=0,
        attempted_at=None,
        failing_for=Duration(0),
        remote_id=None,
        outcome=None,
    )
    return msgspec.structs.replace(due, **changes)


def delivered_update(id: str = "cloudtalk-1", *, version: int = 1, **changes: Any) -> DeliveryUpdate:  # noqa: A002 - see above
    """The update after a first attempt that delivered this version."""
    update = DeliveryUpdate(
        call=id,
        version=version,
        state=DeliveryState.DELIVERED,
        delivered_version=version,
        due_at=Instant(0),
        attempts=1,
        attempted_at=Instant(1),
        failing_for=Duration(0),
        remote_id="r",
        outcome="delivered",
        code=None,
        message=None,
    )
    return msgspec.structs.replace(update, **changes)
