"""The messages that were folded, by their own ids: CloudTalk sends one again until it is answered."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, insert, select

from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import messages

_given = rows_of(messages.c.key, messages.c.seq)
_insert = insert(messages).from_select(["key", "seq"], select(_given))
_wanted = rows_of(messages.c.key)
_first = select(messages.c.key, messages.c.seq).join(_wanted, _wanted.c.key == messages.c.key)


def first_seen(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Which event was the first under each of these; keys that are new are left out."""
    found = connection.execute(_first, bound((key,) for key in sorted(keys)))
    return dict(found.all())


def record(connection: Connection, keys: Sequence[tuple[str, int]]) -> None:
    """These were folded, with these events."""
    if keys:
        connection.execute(_insert, bound(keys))
