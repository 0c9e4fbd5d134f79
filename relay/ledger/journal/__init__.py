"""The journal: every accepted event as it was received, and whether it is folded.

`appending` adds events, `folding` chooses those to fold and marks them, and `reading` reads them for people
and for commands. Import from here.
"""

from relay.ledger.journal.appending import append, replace_parsed
from relay.ledger.journal.folding import (
    MAX_FOLD_BYTES,
    list_unfolded,
    mark_folded,
    mark_waiting,
    reassign_merged,
    remove,
    requeue_aside,
    requeue_waiting,
    set_aside,
)
from relay.ledger.journal.reading import (
    count_accepted,
    count_missing,
    count_unfolded,
    get,
    get_many,
    has_new,
    last_received_at,
    list_aside,
    list_for_call,
    list_newest_for_call,
    list_outside_calls,
    list_sizes,
    list_unmatched,
    unfolded_since,
)
from relay.ledger.journal.rows import (
    ASIDE_PREFIX,
    EventSize,
    NewEvent,
    StoredEvent,
    UnfoldedEvent,
    UnfoldedEvents,
    UnmatchedEvent,
)

__all__ = [
    "ASIDE_PREFIX",
    "MAX_FOLD_BYTES",
    "EventSize",
    "NewEvent",
    "StoredEvent",
    "UnfoldedEvent",
    "UnfoldedEvents",
    "UnmatchedEvent",
    "append",
    "count_accepted",
    "count_missing",
    "count_unfolded",
    "get",
    "get_many",
    "has_new",
    "last_received_at",
    "list_aside",
    "list_for_call",
    "list_newest_for_call",
    "list_outside_calls",
    "list_sizes",
    "list_unfolded",
    "list_unmatched",
    "mark_folded",
    "mark_waiting",
    "reassign_merged",
    "remove",
    "replace_parsed",
    "requeue_aside",
    "requeue_waiting",
    "set_aside",
    "unfolded_since",
]
