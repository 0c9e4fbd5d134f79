"""Write the changes that a batch of events makes, in one transaction."""

from relay.fold.changes import Changes
from relay.fold.conflicts import quarantine_conflicts
from relay.instants import Duration, Instant
from relay.ledger import aliases, calls, dedup, deliveries, journal, recordings
from relay.ledger.connection import Connection


def write_changes(
    connection: Connection, changes: Changes, *, now: Instant, grace: Duration, archives_recordings: bool
) -> int:
    """Write the changes, and return the number of events that waited and can be folded now.

    `grace`: how long an event waits for a link to a call. `archives_recordings`: whether the recordings of
    the calls are enqueued for the archive.
    """
    calls.write(connection, changes.new_rows, changes.changed_rows)
    aliases.add(connection, changes.aliases)
    if changes.continued:
        calls.set_pruned(connection, changes.continued, now=now)
    if changes.merged:
        aliases.reassign_merged(connection, changes.merged)
        journal.reassign_merged(connection, changes.merged)
    if changes.folded:
        journal.mark_folded(connection, changes.folded, now=now)
    dedup.record(connection, changes.dedup_keys)
    if changes.waiting:
        journal.mark_waiting(connection, changes.waiting, until=Instant(now + grace))
    for seq, error in changes.failed:
        journal.set_aside(connection, seq, repr(error))
    quarantine_conflicts(connection, changes.conflicts)
    if changes.updated:
        deliveries.enqueue(connection, [(call.id, call.version) for call in changes.updated], now=now)
        if archives_recordings:
            recordings.enqueue(connection, changes.updated, now=now)
    if changes.aliases:
        # After `mark_waiting`: an event of this batch may wait for an alias of another one.
        return journal.requeue_waiting(connection, [alias.alias for alias in changes.aliases])
    return 0
