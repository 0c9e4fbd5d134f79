"""Compare one call of the ledger with its records in one CRM. Pure.

What people changed in a CRM is theirs, so it is listed and is no fault. A delivery that is not settled is no
fault either: its worker goes on with it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from crm_clients.base import Stored
from crm_clients.settings import DestinationSettings
from relay.call import Call
from relay.delivery.choose_action import may_have_record
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.states import DeliveryState


class Presence(StrEnum):
    """What the comparison of a call at one destination showed: exactly one of these."""

    RIGHT = "right"
    """The CRM has one record, in the version that was delivered. Or it has none, and should have none."""
    CHANGED = "changed"
    """The same, and people changed fields of the record."""
    OTHER_SETTINGS = "other_settings"
    """The same, and the record has labels, fields or constants of earlier settings."""
    MISSING = "missing"
    """The CRM took the call, and has no record of it."""
    REMOVED = "removed"
    """The same, and an earlier audit had the record written again: a person removed it."""
    OUTDATED = "outdated"
    """The record has another version than the one that was delivered: the CRM was restored, for example."""
    DOUBLED = "doubled"
    """The CRM has several records of the call."""
    LEFT_OVER = "left_over"
    """The CRM has a record that it should not have: of a merged call, or one that the filter excludes."""
    PENDING = "pending"
    DEAD = "dead"
    DROPPED = "dropped"
    FILTERED = "filtered"
    """The CRM never received the call, and has no record of it: the call is internal, or excluded by the
    filter.
    """
    NOT_SENT = "not_sent"
    """The call is older than the destination. `relay replay` sends it."""


_UNSETTLED: Final = {
    DeliveryState.PENDING: Presence.PENDING,
    DeliveryState.DEAD: Presence.DEAD,
    DeliveryState.DROPPED: Presence.DROPPED,
}


class Comparison(NamedTuple):
    """A presence. `fields`: of the record, that people changed, sorted. `remote_ids`: of all records, if the
    presence names records; that of the client first.
    """

    presence: Presence
    fields: tuple[str, ...] = ()
    remote_ids: tuple[str, ...] = ()


def was_attempted(delivery: DeliveryRow | None) -> bool:
    """Whether the CRM may have got the call from this ledger."""
    return delivery is not None and may_have_record(delivery)


def needs_reading(delivery: DeliveryRow) -> bool:
    """Whether the CRM may have a record of the call: the first deliveries of a backlog would only cost
    requests.
    """
    return delivery.state is not DeliveryState.PENDING or may_have_record(delivery)


def compare(
    call: Call,
    delivery: DeliveryRow | None,
    stored: Sequence[Stored],
    settings: DestinationSettings,
    *,
    is_wanted: bool,
) -> Comparison:
    """Compare a call with its records, which the CRM stated after the call was read from the ledger.

    `is_wanted`: see `choose_action`.
    """
    if delivery is None:
        return Comparison(Presence.NOT_SENT)
    if len(stored) > 1:
        return Comparison(Presence.DOUBLED, remote_ids=_ids_of(stored))
    if delivery.state in _UNSETTLED:
        return Comparison(_UNSETTLED[delivery.state])
    if delivery.state is not DeliveryState.DELIVERED:
        return _compare_absent(call, stored, settings)
    if not stored:
        return Comparison(_compare_lost(delivery) if is_wanted else Presence.RIGHT)
    return _compare_record(call, delivery, stored[0], settings)


def _compare_absent(call: Call, stored: Sequence[Stored], settings: DestinationSettings) -> Comparison:
    """Compare a call of which the CRM should have no record."""
    is_marked = call.merged_into is not None and settings.on_merge == "mark"
    if stored and not is_marked:
        return Comparison(Presence.LEFT_OVER, remote_ids=_ids_of(stored))
    return Comparison(Presence.FILTERED if call.merged_into is None else Presence.RIGHT)


def _compare_lost(delivery: DeliveryRow) -> Presence:
    return Presence.REMOVED if delivery.restored else Presence.MISSING


def _compare_record(
    call: Call, delivery: DeliveryRow, record: Stored, settings: DestinationSettings
) -> Comparison:
    if settings.update == "never":  # the record stays as it was written, and what people change is theirs
        return Comparison(Presence.RIGHT)
    if record.version is not None and record.version != delivery.delivered_version:
        return Comparison(Presence.OUTDATED, remote_ids=_ids_of([record]))
    if not record.different or delivery.delivered_version != call.version:
        return Comparison(Presence.RIGHT)
    if delivery.rendering != settings.rendering:
        return Comparison(Presence.OTHER_SETTINGS)
    return Comparison(Presence.CHANGED, fields=tuple(sorted(record.different)))


def _ids_of(stored: Sequence[Stored]) -> tuple[str, ...]:
    """Return the ids of records, that of the client's own record first."""
    return tuple(record.remote_id for record in stored if record.remote_id is not None)
