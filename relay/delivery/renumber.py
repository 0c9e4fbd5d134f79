"""Calls of which a CRM has a higher version than the ledger: the ledger was restored from an older copy.

The CRM keeps its record, so no change would ever show there. These calls get a version of a new epoch, above
all that a CRM may hold, and are pushed again.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from crm_clients.base import Delivered, Outcome
from relay.delivery.choose_action import Action, PlannedDelivery, undelivered_fields, whole_fields
from relay.ledger import Ledger, calls, deliveries, epochs
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.lease_holder import Lease
from relay.logs import get_logger
from relay.standards.versions import parse_version

log = get_logger("relay.delivery")


class NewerRecord(msgspec.Struct, frozen=True):
    """A record that the CRM kept. `fields`: pushed in vain. `replayed`: a replay asked for them."""

    version: int
    fields: Collection[str]
    replayed: bool


def find_newer_records(
    batch: Iterable[PlannedDelivery], outcomes: Iterable[Outcome | None]
) -> dict[str, NewerRecord]:
    """Return the records that the CRM kept because their version is higher, by the id of the call.

    An impossible version is ignored: a new epoch above it would concern all calls, and may not fit.
    """
    return {
        planned.due.call.id: NewerRecord(
            parse_version(outcome.newer_version),
            undelivered_fields(planned.due, partial=planned.partial)
            or whole_fields(planned.due, partial=planned.partial),
            planned.due.rewrite or planned.action is Action.VERIFY,
        )
        for planned, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, Delivered) and parse_version(outcome.newer_version)
    }


async def renumber_calls(ledger: Ledger, newer: Mapping[str, NewerRecord]) -> None:
    """Give these calls a version above that of their records, and make them pending."""
    lease = Lease(ledger, "fold", seconds=15)
    await lease.preempt()
    try:
        renumbered = await ledger.write(lambda connection: _renumber(connection, lease, newer))
    finally:
        await lease.release()
    if renumbered:
        log.warning("delivery.newer_in_crm", calls=len(renumbered), call=min(renumbered))


def _renumber(connection: Connection, lease: Lease, newer: Mapping[str, NewerRecord]) -> list[str]:
    lease.check(connection)
    epoch = epochs.current(connection)
    rows = [
        row
        for row in calls.get_many(connection, newer).values()
        if _must_raise(newer[row.id], row.version, epoch)
    ]
    if not rows:
        return []
    highest = max(epochs.epoch_of(newer[row.id].version) for row in rows)
    if highest >= epoch:
        epochs.begin(connection, now=lease.now(), at_least=highest + 1)
    floor = epochs.version_floor(connection)
    raised = [_raise_version(row, newer[row.id].fields, floor) for row in rows]
    calls.write(connection, [], raised)
    deliveries.enqueue(connection, [(row.id, row.version) for row in raised], now=lease.now())
    return [row.id for row in raised]


def _must_raise(record: NewerRecord, version: int, epoch: int) -> bool:
    """A record of an earlier epoch is newer than a change from before a known restore: it stays, unless a
    person asked for the ledger's record.
    """
    return record.version > version and (record.replayed or epochs.epoch_of(record.version) >= epoch)


def _raise_version(row: CallRow, fields: Collection[str], floor: int) -> CallRow:
    """The same record in a higher version, in which these fields count as changed."""
    version = max(row.version, floor) + 1
    record = msgspec.structs.replace(row.record, version=version)
    changed = row.field_versions | dict.fromkeys(fields, version)
    return msgspec.structs.replace(row, version=version, record=record, field_versions=changed)
