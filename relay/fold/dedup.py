"""Which events repeat a message that was folded before. An optimisation in most cases: the join is
idempotent, but a late duplicate without a time of its own would count as the newest event.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from relay.call import CallEvent, Kind
from relay.ledger import dedup
from relay.ledger.connection import Connection
from relay.ledger.journal import StoredEvent

_EDITS: Final = frozenset({Kind.MODIFIED, Kind.UPDATE})


def dedup_keys(event: CallEvent) -> list[str]:
    """The keys that a redelivery of this event shares with it; empty if no event is its redelivery.

    A key is made of the message's id, the kind and a digest of the content. The id alone is not enough:
    a person may have typed a constant for it, and then every later event would look like a redelivery.

    An event without a message id is a redelivery if its content was folded before, so that an Ended that
    arrives twice does not undo an edit of the tags in between. Edits are exempt: the tags A, then B, then
    A again are three edits. Rows of the history have edits too. Events with a single id are exempt: the join
    orders them by kind.
    """
    keys = event.message_ids
    is_exempt = event.kind in _EDITS or event.single_id or event.is_from_history
    if not keys and not is_exempt:
        keys = (f"content:{event.name}",)
    if not keys:
        return []
    content = msgspec.json.encode([event.aliases, event.data], order="deterministic")
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return [f"{key}:{event.kind}:{digest}" for key in keys]


def is_redelivery(keys: Iterable[str], seen_keys: Collection[str]) -> bool:
    """Whether an event with these keys repeats one that was folded before."""
    return any(key in seen_keys for key in keys)


def drop_redeliveries(connection: Connection, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Return these events without those that repeat an event folded earlier."""
    keys = {event.seq: dedup_keys(event.parsed) for event in events}
    first_seen = dedup.first_seen(connection, {key for event_keys in keys.values() for key in event_keys})
    return [
        event
        for event in events
        if all(first_seen.get(key, event.seq) == event.seq for key in keys[event.seq])
    ]
