"""The erasure in the CRMs: by the delivery workers of a relay that runs, else by workers of this process.

So the rate limits, pauses and retries of a destination hold, and a push that is under way comes first.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Final

from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.delivery.clients import build_clients
from relay.ledger import Ledger, deliveries, destinations, leases
from relay.ledger.connection import Connection
from relay.ledger.deliveries import Erasure, OpenErasure
from relay.ledger.states import DeliveryState
from relay.operations.forget.receipt import CrmReceipt, CrmState
from relay.settings import Settings, load_client_class

_POLL_SECONDS: Final = 0.1


def fields_by_destination(settings: Settings) -> dict[str, frozenset[str]]:
    """Return what the client of each destination needs of a call to erase it."""
    return {
        name: load_client_class(destination.client).forget_fields
        for name, destination in settings.destinations.items()
    }


async def erase_in_crms(
    ledger: Ledger,
    settings: Settings,
    pending: Collection[Erasure],
    on_progress: Callable[[int, int], None],
    *,
    seconds: float,
) -> list[OpenErasure]:
    """Wait until the CRMs have erased these calls, for at most `seconds`. Return what is not erased then."""
    ids = {each.call for each in pending}
    ends_at = time.monotonic() + seconds
    async with _workers(ledger, settings, {each.destination for each in pending}):
        while True:
            left = await ledger.read(lambda c: deliveries.list_open_erasures(c, ids))
            on_progress(len(pending) - len(left), len(pending))
            waiting = [each for each in left if each.state is DeliveryState.PENDING]
            held = {row.name for row in await ledger.read(destinations.list_all) if row.paused_reason}
            if all(each.destination in held for each in waiting) or time.monotonic() >= ends_at:
                return left
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _workers(ledger: Ledger, settings: Settings, names: Iterable[str]) -> AsyncIterator[None]:
    """Erase in those of these CRMs that no relay serves. A relay that starts then waits for the lease."""
    served = await ledger.read(lambda c: leases.list_names(c, now=ledger.now()))
    own = [n for n in names if settings.destinations[n].enabled and leases.delivery_lease(n) not in served]
    clients = build_clients(settings, lambda name: LedgerClientState(ledger, name), only=own)
    delivery = settings.delivery
    policy = RetryPolicy(
        delivery.first_retry_seconds, delivery.longest_retry_seconds, delivery.give_up_after_hours
    )
    tasks = [
        asyncio.create_task(
            DeliveryWorker(
                name,
                client,
                settings.destinations[name],
                ledger,
                policy,
                poll_seconds=_POLL_SECONDS,
                erasures_only=True,
            ).run()
        )
        for name, client in clients.items()
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients.values():
            await client.aclose()


def read_pauses(connection: Connection) -> dict[str, str]:
    """Return why destinations are paused, by name."""
    return {
        row.name: row.paused_message or row.paused_code or row.paused_reason
        for row in destinations.list_all(connection)
        if row.paused_reason
    }


def crm_receipts(
    settings: Settings,
    pending: Iterable[Erasure],
    unserved: Iterable[Erasure],
    left: Iterable[OpenErasure],
    pauses: dict[str, str],
) -> list[CrmReceipt]:
    """Return what each CRM did, and what a person has to do where it did not."""
    calls, open_, orphaned = (defaultdict[str, list[str]](list) for _ in range(3))
    dead = {each.destination: each for each in left if each.state is DeliveryState.DEAD}
    for erasure in pending:
        calls[erasure.destination].append(erasure.call)
    for each in left:
        open_[each.destination].append(each.remote_id or each.call)
    for erasure in unserved:
        orphaned[erasure.destination].append(erasure.remote_id or erasure.call)
    receipts = [
        _receipt(settings, name, len(calls[name]), open_[name], dead.get(name), pauses.get(name))
        for name in sorted(calls)
    ]
    advice = "the settings have no such destination: delete these records in the CRM"
    return receipts + [
        CrmReceipt(name, CrmState.UNSERVED, len(records), sorted(records), advice)
        for name, records in sorted(orphaned.items())
    ]


def _receipt(
    settings: Settings, name: str, calls: int, records: list[str], dead: OpenErasure | None, pause: str | None
) -> CrmReceipt:
    if not records:
        return CrmReceipt(name, CrmState.ERASED, calls)
    if dead is not None:
        advice = (
            f"the CRM refused it ({dead.message or dead.code}): delete these records there, then"
            f" `relay dead drop --all --destination {name}`"
        )
        return CrmReceipt(name, CrmState.REFUSED, calls, sorted(records), advice)
    if not settings.destinations[name].enabled:
        why = "the destination is disabled: the relay erases them once it is enabled"
    elif pause is not None:
        why = f"the destination is paused ({pause}): the relay erases them once it is resumed"
    else:
        why = "the CRM has not answered in time: the relay goes on trying; if none runs, at its next start"
    return CrmReceipt(name, CrmState.PENDING, calls, sorted(records), why)
