"""Write the changes that a batch of events makes, in one transaction."""

from collections.abc import Sequence

import msgspec

from relay.call import Call
from relay.fold.call_backs import update_call_backs
from relay.fold.changes import Changes
from relay.fold.conflicts import quarantine_conflicts
from relay.fold.enrichment import list_questions
from relay.fold.options import FoldOptions
from relay.instants import Instant
from relay.ledger import aliases, calls, dedup, deliveries, enrichments, forgotten, journal, recordings
from relay.ledger.connection import Connection


class Written(msgspec.Struct, frozen=True):
    """What a transaction has written besides the changes.

    `requeued`: how many events waited and can be folded now. `called_back`: missed calls that need no
    follow-up any more, or need one again.
    """

    requeued: int = 0
    called_back: tuple[Call, ...] = ()


def write_changes(connection: Connection, changes: Changes, options: FoldOptions, *, now: Instant) -> Written:
    """Write the changes, and what follows from them for other calls of the same customers."""
    calls.write(connection, changes.new_rows, changes.changed_rows, same_terms=changes.same_terms)
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
        journal.mark_waiting(connection, changes.waiting, until=Instant(now + options.grace))
    if changes.forgotten:
        _delete_forgotten(connection, changes.forgotten, now=now)
    for seq, error in changes.failed:
        journal.set_aside(connection, seq, repr(error))
    quarantine_conflicts(connection, changes.conflicts)
    called_back = tuple(
        row.record
        for row in update_call_backs(
            connection, [*changes.new_rows, *changes.changed_rows], window=options.call_back_window
        )
    )
    _enqueue(connection, [*changes.updated, *called_back], options, now)
    if options.questions:
        written = [*changes.new_rows, *changes.changed_rows]
        enrichments.enqueue(connection, list_questions(written, options.questions, now=now), now=now)
    if not changes.aliases:
        return Written(called_back=called_back)
    # After `mark_waiting`: an event of this batch may wait for an alias of another one.
    requeued = journal.requeue_waiting(connection, [alias.alias for alias in changes.aliases])
    return Written(requeued, called_back)


def _enqueue(connection: Connection, updated: Sequence[Call], options: FoldOptions, now: Instant) -> None:
    """Make the newest version of each call pending. A call that was called back is there twice."""
    if not updated:
        return
    newest = {call.id: call.version for call in updated}
    deliveries.enqueue(connection, list(newest.items()), now=now)
    if options.archives_recordings:
        recordings.enqueue(connection, updated, now=now)


def _delete_forgotten(
    connection: Connection, events: Sequence[tuple[int, list[str], str | None]], *, now: Instant
) -> None:
    """Delete these events of forgotten calls, and forget the ids that only they state."""
    key = forgotten.require_key(connection)
    for seq, ids, number in events:
        journal.remove(connection, seq)
        forgotten.add_ids(connection, key, ids, number, now=now)
