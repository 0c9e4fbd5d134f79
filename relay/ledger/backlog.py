"""Counts that are read often while the relay runs. Each comes from a small index or from few rows."""

import msgspec
from sqlalchemy import func, select

from relay.instants import Instant
from relay.ledger import deliveries, destinations, enrichments, quarantine, recordings, warnings
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.destinations import DestinationRow
from relay.ledger.states import EventState, has_state
from relay.ledger.tables import events


class DestinationBacklog(msgspec.Struct, frozen=True):
    """A destination with its pending deliveries and its dead letters. The delivered ones are not counted."""

    row: DestinationRow
    counts: DeliveryCounts


class Backlog(msgspec.Struct, frozen=True):
    """What waits in the ledger. `unfolded`: new events and those that wait for their call. `set_aside`: the
    fold failed on them. `last_event_at`: when the newest event arrived, None if the ledger has none.
    `recordings_pending`: to be archived, the oldest one since `oldest_recording_since`.
    `enrichments_pending`: questions about calls that CloudTalk has not answered yet. `paused_apis`: those of
    CloudTalk that are not asked.
    """

    destinations: list[DestinationBacklog]
    unfolded: int
    set_aside: int
    quarantined: int
    last_event_at: Instant | None
    recordings_pending: int = 0
    oldest_recording_since: Instant | None = None
    enrichments_pending: int = 0
    paused_apis: frozenset[str] = frozenset()


_in_state = {
    state: select(func.count()).select_from(events).where(has_state(events.c.state, state))
    for state in (EventState.NEW, EventState.WAITING, EventState.ASIDE)
}
_last_event = select(events.c.received_at).order_by(events.c.seq.desc()).limit(1)


def read_backlog(connection: Connection) -> Backlog:
    """Read all of it."""
    counts = deliveries.counts_by_destination(connection, delivered={})
    in_state = {state: int(connection.execute(query).scalar_one()) for state, query in _in_state.items()}
    last = connection.execute(_last_event).all()
    recordings_pending, oldest_recording_since = recordings.count_pending(connection)
    return Backlog(
        [
            DestinationBacklog(row, counts.get(row.name, DeliveryCounts()))
            for row in destinations.list_all(connection)
        ],
        unfolded=in_state[EventState.NEW] + in_state[EventState.WAITING],
        set_aside=in_state[EventState.ASIDE],
        quarantined=quarantine.count(connection),
        last_event_at=Instant(last[0][0]) if last else None,
        recordings_pending=recordings_pending,
        oldest_recording_since=oldest_recording_since,
        enrichments_pending=enrichments.count_pending(connection),
        paused_apis=frozenset(
            api
            for api, name in warnings.PAUSED_APIS.items()
            if warnings.get(connection, name, since=Instant(0)) is not None
        ),
    )
