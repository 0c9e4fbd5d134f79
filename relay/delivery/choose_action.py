"""What to do with a due delivery. Pure.

Only this module decides whether a call is delivered to a destination: by the call itself (`is_wanted`), and
by the destination's settings `when` and `update`.
"""

from enum import Enum, auto
from typing import ClassVar, Final

import msgspec

from crm_clients.base import Outcome
from crm_clients.settings import DestinationSettings
from relay.call import DELIVERED_FIELDS, Call, known_fields
from relay.instants import Instant
from relay.ledger.deliveries import DeliveryRow, DueDelivery
from relay.ledger.epochs import epoch_of

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)


class Action(Enum):
    """What to do with a due delivery."""

    UPSERT = auto()
    """Write the fields that the CRM does not have yet."""
    VERIFY = auto()
    """The CRM has this version. A replay asks whether the record still exists."""
    RETRACT = auto()
    """Remove the record: no CRM should have this call, and this one may have it."""
    SKIP = auto()
    """Send nothing: the call was merged into another one before the CRM received it."""
    FILTER = auto()
    """Send nothing: the call is not wanted as it is now, and the CRM never received it."""

    HOLD = auto()
    """Send nothing yet: the destination gets complete calls only."""
    KEEP = auto()
    """Send nothing: the CRM has the call, and its record is never written again."""
    RESTORE = auto()
    """Write the record if the CRM has lost it, and leave it as it is otherwise."""
    ERASE = auto()
    """Delete all that was written about the call: it was forgotten."""

    @property
    def sends_nothing(self) -> bool:
        """Whether the delivery is settled without a request to the CRM."""
        return self in _WITHOUT_REQUEST


REMOVALS: Final = frozenset({Action.RETRACT, Action.ERASE})
"""After these the CRM has no record of the call."""

_WITHOUT_REQUEST: Final = frozenset({Action.SKIP, Action.FILTER, Action.HOLD, Action.KEEP})


class PlannedDelivery(msgspec.Struct, frozen=True):
    """A due delivery and what to do with it."""

    due: DueDelivery
    action: Action
    partial: bool
    """The CRM may know more about the call than the ledger: see `is_partial`."""
    held_until: Instant | None = None
    """When a call that is held is looked at again: see `incomplete_until`."""


class Found(Outcome, frozen=True, kw_only=True):
    """The record still exists in the CRM: the outcome of `VERIFY`.

    It does not show that the CRM would accept a write.
    """

    name: ClassVar[str] = "found"


def choose_action(
    due: DueDelivery, settings: DestinationSettings, *, forward_internal: bool, is_complete: bool = True
) -> Action:
    """Choose by the newest version of the call. The filter counts only before the first attempt. A record
    that no CRM should have is retracted whatever `update` is. `is_complete`: see `incomplete_until`.
    """
    if due.erase:
        return Action.ERASE
    may_exist = may_have_record(due)
    if not is_wanted(due.call, forward_internal=forward_internal):
        # An internal call may prove external later; a merged call stays merged.
        without_record = Action.SKIP if due.call.merged_into else Action.FILTER
        return Action.RETRACT if may_exist else without_record
    if not may_exist and not settings.when.matches(due.call):
        return Action.FILTER
    if due.delivered_version and settings.update == "never":
        return Action.RESTORE if due.rewrite else Action.KEEP
    if not is_complete:
        return Action.HOLD
    return Action.UPSERT if undelivered_fields(due) else Action.VERIFY


def may_have_record(delivery: DueDelivery | DeliveryRow) -> bool:
    """Whether the CRM has the call, or may have it after an attempt."""
    return delivery.outcome is not None or delivery.delivered_version > 0


def is_wanted(call: Call, *, forward_internal: bool) -> bool:
    """Whether a CRM should have a record of this call: never of a merged call, and of an internal one only
    with `forward_internal`.
    """
    return call.merged_into is None and (call.direction != "internal" or forward_internal)


def is_partial(due: DueDelivery, epoch: int) -> bool:
    """Whether the CRM may know more about the call than the ledger, which may have lost its first events.

    The CRM knows no more only if this ledger created the record, and was not restored since. No time proves
    it, because clocks are wrong sometimes. `epoch`: the present one.
    """
    delivered = due.delivered_version
    return due.partial or not delivered or epoch_of(delivered) < epoch


def whole_fields(due: DueDelivery, *, partial: bool) -> frozenset[str]:
    """The fields of a push that writes all that the ledger knows about the call."""
    if not partial:
        return _ALL_FIELDS
    unknown = {field for field, version in due.field_versions.items() if not version}
    return known_fields(due.call).union(due.field_versions) - unknown


def undelivered_fields(due: DueDelivery, *, partial: bool = False) -> frozenset[str]:
    """The fields that changed since the version delivered last; every field if none was delivered, or if a
    replay asked for the whole record.

    The first delivery has only what is known: a default must not replace a value in the CRM.
    """
    if due.rewrite or not due.delivered_version:
        return whole_fields(due, partial=partial)
    delivered = due.delivered_version
    return frozenset(field for field, version in due.field_versions.items() if version > delivered)
