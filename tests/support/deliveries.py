"""Deliveries as a worker takes them from the ledger and writes them back, and queries on them."""

from collections.abc import Collection
from typing import Any

import msgspec

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, deliveries
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow, DeliveryUpdate, DueDelivery, Pick
from relay.ledger.states import DeliveryState
from tests.support.samples import make_call, make_call_row


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


async def write_calls(ledger: Ledger, *versions: tuple[str, int]) -> None:
    """Insert calls, or update them, in these versions: (id, version)."""

    def write(connection: Connection) -> None:
        known = calls.get_many(connection, [id_ for id_, _ in versions])
        rows = [make_call_row(id_, version) for id_, version in versions]
        new = [row for row in rows if row.id not in known]
        calls.write(connection, new, [row for row in rows if row.id in known])

    await ledger.write(write)


async def enqueue(ledger: Ledger, *versions: tuple[str, int], now: int = 10) -> None:
    """Write calls in these versions and enqueue them, as the fold does."""
    await write_calls(ledger, *versions)
    await ledger.write(lambda c: deliveries.enqueue(c, versions, now=Instant(now)))


async def settle(ledger: Ledger, *updates: DeliveryUpdate, name: str = "crm", now: int = 50) -> None:
    await ledger.write(lambda c: deliveries.settle(c, name, updates, now=Instant(now)))


async def get_delivery(ledger: Ledger, call: str = "cloudtalk-1", name: str = "crm") -> DeliveryRow:
    rows = await ledger.read(lambda c: deliveries.list_for_call(c, call))
    (row,) = [row for row in rows if row.destination == name]
    return row


async def take_due(
    ledger: Ledger,
    name: str = "crm",
    pick: Pick = Pick.OLDEST,
    *,
    now: int = 1_000,
    busy: Collection[str] = (),
    limit: int = 100,
    max_bytes: int = deliveries.MAX_BATCH_BYTES,
    erasures_only: bool = False,
) -> list[DueDelivery]:
    return await ledger.read(
        lambda c: deliveries.take_due(
            c,
            name,
            pick,
            busy=busy,
            now=Instant(now),
            limit=limit,
            max_bytes=max_bytes,
            erasures_only=erasures_only,
        )
    )


async def due_ids(ledger: Ledger, name: str = "crm", **options: Any) -> list[str]:
    return [due.call.id for due in await take_due(ledger, name, **options)]
