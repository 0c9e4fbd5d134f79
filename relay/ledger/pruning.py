"""Forgetting what has served its time, a portion at a time, so that no lock is held for long.

What a call came to outlives its events: the join's state lies in the call's own row, so that a late
event still joins. What is still owed, or waits for a person, is kept however old it is.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import DeliveryState, EventState, has_state
from relay.ledger.tables import aliases, calls, client_state, dedup_keys, deliveries, events, quarantine

PORTION: Final = 500

_page = (
    select(events.c.seq, events.c.received_at, events.c.state, events.c.call)
    .where(events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(PORTION)
)
_seqs = rows_of(events.c.seq)
_drop_events = delete(events).where(events.c.seq.in_(select(_seqs.c.seq)))
_ids = rows_of(calls.c.id)
_pruned = update(calls).where(calls.c.id.in_(select(_ids.c.id))).values(pruned_at=bindparam("now"))
_delete_dedup_keys = delete(dedup_keys).where(dedup_keys.c.seq <= bindparam("upto"))


class _PrunableEvent(NamedTuple):
    seq: int
    received_at: int
    state: str
    call: str


def prune_events(connection: Connection, *, before: int, after: int, now: int) -> int | None:
    """Drop the folded events of a portion of the journal, the oldest first, that came before an instant.

    The sequence number to go on after; None when the rest is younger. Events that were not folded stay.
    """
    rows = [_PrunableEvent(*row) for row in connection.execute(_page, {"after": after})]
    old = [row for row in rows if row.received_at < before]
    folded = [row for row in old if row.state == EventState.FOLDED]
    connection.execute(
        _pruned, bound((call,) for call in sorted({row.call for row in folded})) | {"now": now}
    )
    connection.execute(_drop_events, bound((row.seq,) for row in folded))
    if old:
        connection.execute(_delete_dedup_keys, {"upto": old[-1].seq})
    return rows[-1].seq if len(rows) == PORTION and old else None


_unsettled = (
    select(deliveries.c.call)
    .where(
        deliveries.c.call == calls.c.id,
        has_state(deliveries.c.state, DeliveryState.PENDING, DeliveryState.DEAD),
    )
    .exists()
)
_old_calls = (
    select(calls.c.id)
    .where(calls.c.began_at < bindparam("before"), ~_unsettled)
    .order_by(calls.c.began_at)
    .limit(PORTION)
)
_drop_calls: tuple[Any, ...] = (
    delete(events).where(events.c.call.in_(select(_ids.c.id))),
    delete(deliveries).where(deliveries.c.call.in_(select(_ids.c.id))),
    delete(aliases).where(aliases.c.call.in_(select(_ids.c.id))),
    delete(calls).where(calls.c.id.in_(select(_ids.c.id))),
)


def prune_calls(connection: Connection, *, before: int) -> bool:
    """Drop a portion of the calls that began before an instant, with all that is known of them; whether
    there may be more.
    """
    old = list(connection.execute(_old_calls, {"before": before}).scalars())
    given = bound((call,) for call in sorted(old))
    for statement in _drop_calls:
        connection.execute(statement, given)
    return len(old) == PORTION


def prune_quarantine(connection: Connection, *, before: int) -> None:
    """Drop the bodies that came before an instant and that nobody looked at since."""
    connection.execute(delete(quarantine).where(quarantine.c.received_at < before))


def prune_client_state(connection: Connection, *, before: int) -> None:
    """Drop what clients kept before an instant; what they still need, they find again."""
    connection.execute(delete(client_state).where(client_state.c.updated_at < before))
