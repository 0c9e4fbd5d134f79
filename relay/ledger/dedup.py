"""Keys of the messages that were folded: CloudTalk sends a message again until it gets an answer."""

from collections.abc import Collection, Sequence

from sqlalchemy import insert, select

from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import dedup_keys

_new = rows_of(dedup_keys.c.key, dedup_keys.c.seq)
_insert = insert(dedup_keys).from_select(["key", "seq"], select(_new))
_keys = rows_of(dedup_keys.c.key)
_first_seen = select(dedup_keys.c.key, dedup_keys.c.seq).join(_keys, _keys.c.key == dedup_keys.c.key)


def first_seen(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Return the sequence number of the first event with each key; new keys are absent from the result."""
    if not keys:
        return {}
    found = connection.execute(_first_seen, bound((key,) for key in sorted(keys)))
    return dict(found.all())


def record(connection: Connection, keys: Sequence[tuple[str, int]]) -> None:
    """Insert the keys of folded events: (key, sequence number). Raises `IntegrityError` for a known key."""
    if keys:
        connection.execute(_insert, bound(keys))
