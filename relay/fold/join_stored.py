"""Join the stored events of a call again."""

from collections.abc import Collection, Sequence

from relay.call import CallState, join_event
from relay.fold.dedup import drop_redeliveries
from relay.fold.matching import restrict_ids
from relay.ledger.connection import Connection
from relay.ledger.journal import StoredEvent


def join_events(
    connection: Connection,
    events: Sequence[StoredEvent],
    aliases: Collection[str],
    before: CallState | None = None,
) -> CallState | None:
    """Join the events of one call to the state `before`; of their ids only `aliases` count.

    None if there is no event yet.
    """
    state = before
    for event in drop_redeliveries(connection, events):
        parsed = restrict_ids(event.parsed, [alias for alias in event.parsed.aliases if alias in aliases])
        state = join_event(state, parsed, seq=event.seq, received_at=event.received_at)
    return state
