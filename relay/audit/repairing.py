"""Let the delivery workers write again what a CRM lost, and remove what it should not have."""

from collections.abc import Collection, Sequence

from crm_clients.settings import DestinationSettings
from relay.call import Call
from relay.delivery.replay import Replay
from relay.ledger import Ledger, actions, replays
from relay.ledger.actions import ActionRow
from relay.ledger.connection import Connection
from relay.ledger.lease_holder import Lease, run_in_slices

ACTION = "delivery.audit"
"""The action of the audit in the story of a call."""


async def write_again(
    ledger: Ledger,
    destination: str,
    settings: DestinationSettings,
    ids: Collection[str],
    *,
    lost: Collection[str],
    forward_internal: bool,
    who: str,
) -> None:
    """Make these calls pending. The worker reads the record once more, and writes it whole if it is absent or
    of another version. `lost`: those that the CRM has no record of.
    """
    if ids:
        replay = Replay(ledger, {destination: settings}, forward_internal=forward_internal)
        await replay.replay_calls(set(ids))
        # Afterwards: without it a record is only restored once more.
        await ledger.write(lambda connection: replays.mark_restored(connection, destination, lost))
        await _note(ledger, destination, ids, who)


async def remove_again(ledger: Ledger, destination: str, calls: Sequence[Call], *, who: str) -> None:
    """Make these calls pending, whose records were removed once: the worker removes them again."""
    if not calls:
        return
    lease = Lease(ledger, "fold", seconds=15)

    async def enqueue() -> bool:
        versions = [(call.id, call.version) for call in calls]

        def checked(connection: Connection) -> None:
            lease.check(connection)
            replays.enqueue(connection, destination, versions, now=lease.now())

        await ledger.write(checked)
        return False

    await run_in_slices(lease, enqueue)
    await _note(ledger, destination, [call.id for call in calls], who)


async def _note(ledger: Ledger, destination: str, ids: Collection[str], who: str) -> None:
    now = ledger.now()
    rows = [ActionRow(now, who, ACTION, destination, id_) for id_ in sorted(ids)]
    await ledger.write(lambda connection: actions.add(connection, rows))
