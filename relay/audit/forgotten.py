"""Records of forgotten calls that a CRM has again, as after a restore.

The ledger has no id of a forgotten call, but CloudTalk's history has its call_id. So a record is found if its
call was named by it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from crm_clients.base import CrmClient, Push
from crm_clients.settings import DestinationSettings
from relay.audit.reading import read_records
from relay.call import minimal_call
from relay.ledger import Ledger, deliveries


async def erase_forgotten(
    ledger: Ledger,
    client: CrmClient[Any],
    settings: DestinationSettings,
    call_ids: Sequence[str],
    *,
    repairs: bool,
) -> int:
    """Return how many records of these forgotten calls the CRM has. `repairs`: let its worker erase them.

    Raises `CannotRead`, `ReadFailed`, `LedgerError`.
    """
    found = 0
    for first in range(0, len(call_ids), settings.batch):
        ids = [f"cloudtalk-{call_id}" for call_id in call_ids[first : first + settings.batch]]
        calls = {id_: minimal_call(id_, version=1) for id_ in ids}
        pushes = [Push(call, frozenset(), first=False) for call in calls.values()]
        records = await read_records(client, pushes, timeout_seconds=settings.timeout_seconds)
        left = [(calls[id_], own.remote_id) for id_, (own, *_) in records.items()]
        found += len(left)
        if left and repairs:
            erase = partial(deliveries.erase_again, destination=client.name, pushed=left, now=ledger.now())
            await ledger.write(erase)
    return found
