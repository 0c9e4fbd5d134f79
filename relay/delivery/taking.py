"""Take due deliveries from the ledger, and choose what to do with each."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from crm_clients.settings import DestinationSettings
from relay.delivery.batching import choose_batch
from relay.delivery.choose_action import PlannedDelivery, choose_action, is_partial
from relay.delivery.completeness import incomplete_until
from relay.delivery.recording_links import with_recording_link
from relay.instants import Instant
from relay.ledger import deliveries, journal
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DueDelivery, Pick


class Taken(NamedTuple):
    """Due deliveries as they were read. `unfolded_since`: what `incomplete_until` needs; None if the
    destination gets calls that are not complete, too.
    """

    due: Sequence[DueDelivery]
    unfolded_since: Instant | None


def take_batch(
    connection: Connection,
    destination: str,
    settings: DestinationSettings,
    pick: Pick,
    *,
    busy: Collection[str],
    now: Instant,
    erasures_only: bool = False,
) -> tuple[Taken, Instant | None]:
    """Return a batch of due deliveries without those of the calls in `busy`, and when the next one of the
    others may be due. `erasures_only`: of forgotten calls.
    """
    unfolded_since = _unfolded_since(connection, settings)
    size = settings.batch
    due = deliveries.take_due(
        connection, destination, pick, busy=busy, now=now, limit=size, erasures_only=erasures_only
    )
    batch = choose_batch(due, size)
    if len(due) == size or len(due) > len(batch):
        next_due_at: Instant | None = now
    else:
        taken = {each.call.id for each in batch}
        next_due_at = deliveries.next_due_at(connection, destination, busy={*busy, *taken})
    return Taken(batch, unfolded_since), next_due_at


def take_for_probe(
    connection: Connection,
    destination: str,
    settings: DestinationSettings,
    *,
    now: Instant,
    erasures_only: bool = False,
) -> Taken:
    """Return the deliveries of a paused destination of which one may be its probe, the best one first."""
    unfolded_since = _unfolded_since(connection, settings)
    due = deliveries.take_due(
        connection,
        destination,
        Pick.PROBE,
        busy=(),
        now=now,
        limit=settings.batch,
        erasures_only=erasures_only,
    )
    return Taken(due, unfolded_since)


def _unfolded_since(connection: Connection, settings: DestinationSettings) -> Instant | None:
    """Read what `incomplete_until` needs, if the destination gets complete calls only.

    An event that waits for its call counts only if it could not be written later.
    """
    update = settings.update
    return None if update == "always" else journal.unfolded_since(connection, waiting=update == "never")


def plan_deliveries(
    taken: Taken, settings: DestinationSettings, *, epoch: int, forward_internal: bool, now: Instant
) -> list[PlannedDelivery]:
    """Choose an action for each delivery. `epoch`: the present one of the ledger."""
    return [
        _plan(due, taken.unfolded_since, settings, epoch=epoch, forward_internal=forward_internal, now=now)
        for due in taken.due
    ]


def _plan(
    due: DueDelivery,
    unfolded_since: Instant | None,
    settings: DestinationSettings,
    *,
    epoch: int,
    forward_internal: bool,
    now: Instant,
) -> PlannedDelivery:
    until = incomplete_until(due, settings, now=now, unfolded_since=unfolded_since)
    action = choose_action(due, settings, forward_internal=forward_internal, is_complete=until is None)
    with_link = with_recording_link(due, settings.recording_links)
    return PlannedDelivery(with_link, action, is_partial(due, epoch), until)
