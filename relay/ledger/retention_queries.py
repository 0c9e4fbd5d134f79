"""Deleting old rows, one portion per transaction, so that no lock is held for long.

A call outlives its events: its join state is in its own row, so a late event still joins. A call with a
pending or dead delivery is never deleted.
"""

from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Delete, Update, bindparam, delete, func, select, update

from relay.instants import Instant
from relay.ledger import call_terms, tombstones
from relay.ledger.calls import set_pruned
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import DeliveryState, EventState, has_state
from relay.ledger.tables import (
    attempts,
    bodies,
    calls,
    client_state,
    dedup_keys,
    deliveries,
    events,
    quarantine,
)

PORTION: Final = 500


class _OldEvent(NamedTuple):
    seq: int
    received_at: Instant
    state: str
    call: str


_page = (
    select(events.c.seq, events.c.received_at, events.c.state, events.c.call)
    .where(events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)
_seqs = rows_of(events.c.seq)
_delete_events = delete(events).where(events.c.seq.in_(select(_seqs.c.seq)))
_delete_bodies = delete(bodies).where(bodies.c.seq.in_(select(_seqs.c.seq)))
_ids = rows_of(calls.c.id)
_delete_dedup_keys = delete(dedup_keys).where(dedup_keys.c.seq <= bindparam("last"))


_calls = rows_of(events.c.call)
_continued = (
    select(events.c.call)
    .join(_calls, _calls.c.call == events.c.call)
    .where(events.c.received_at >= bindparam("before"))
    .distinct()
)


def delete_old_events(
    connection: Connection,
    *,
    before: Instant,
    at_latest: Instant,
    after: int,
    now: Instant,
    limit: int = PORTION,
) -> int | None:
    """Delete folded events that were received before an instant, from the next `limit` rows of the journal.

    The events of a call are deleted together: they stay while the call has a younger one, but none longer
    than `at_latest`, since a constant for all ids makes one call that never ends. `after` is the last
    sequence number of the portion before. Return it for the next portion; None if the rest is younger. Events
    that are not folded stay.
    """
    page = [_OldEvent(*row) for row in connection.execute(_page, {"after": after, "limit": limit})]
    old = [event for event in page if event.received_at < before]
    folded = [event for event in old if event.state == EventState.FOLDED]
    calls_of_old = bound((call,) for call in sorted({event.call for event in folded}))
    continued = set(connection.execute(_continued, calls_of_old | {"before": before}).scalars())
    folded = [event for event in folded if event.call not in continued or event.received_at < at_latest]
    set_pruned(connection, {event.call for event in folded}, now=now)
    seqs = bound((event.seq,) for event in folded)
    connection.execute(_delete_bodies, seqs)
    connection.execute(_delete_events, seqs)
    if old:
        connection.execute(_delete_dedup_keys, {"last": old[-1].seq})
    return page[-1].seq if len(page) == limit and old else None


_has_open_delivery = (
    select(deliveries.c.call)
    .where(
        deliveries.c.call == calls.c.id,
        has_state(deliveries.c.state, DeliveryState.PENDING, DeliveryState.DEAD),
    )
    .exists()
)
_old_calls = (
    select(calls.c.id)
    .where(calls.c.changed_at < bindparam("before"), ~_has_open_delivery)
    .order_by(calls.c.changed_at)
    .limit(bindparam("limit"))
)
_seqs_of_calls = select(events.c.seq).where(events.c.call.in_(select(_ids.c.id)))
_delete_calls: tuple[Delete | Update, ...] = (
    delete(bodies).where(bodies.c.seq.in_(_seqs_of_calls)),
    delete(events).where(events.c.call.in_(select(_ids.c.id))),
    delete(attempts).where(attempts.c.call.in_(select(_ids.c.id))),
    # What a CRM has stays with the tombstone: only there is a late event delivered.
    delete(deliveries).where(deliveries.c.call.in_(select(_ids.c.id)), deliveries.c.delivered_version == 0),
    # The CRM knows more about these calls than the ledger from now on.
    update(deliveries).where(deliveries.c.call.in_(select(_ids.c.id))).values(partial=True),
    delete(calls).where(calls.c.id.in_(select(_ids.c.id))),
)


def delete_old_calls(connection: Connection, *, before: Instant, now: Instant, limit: int = PORTION) -> bool:
    """Delete up to `limit` calls that changed last before an instant, with their events. When a call
    began does not count: an import of old calls would be deleted at once. A tombstone stays, and the
    deliveries of which the CRM has a record.

    Return whether there may be more.
    """
    ids = list(connection.execute(_old_calls, {"before": before, "limit": limit}).scalars())
    rows = bound((id_,) for id_ in sorted(ids))
    tombstones.add(connection, ids, now=now)
    call_terms.remove(connection, ids)
    for statement in _delete_calls:
        connection.execute(statement, rows)
    return len(ids) == limit


class _StatedTimes(msgspec.Struct):
    started_at: str | None


_decode_stated_times = msgspec.json.Decoder(_StatedTimes).decode
_newest_calls = (
    select(calls.c.began_at, calls.c.changed_at, calls.c.record)
    .where(calls.c.merged_into.is_(None))  # the survivor of a merged call has its start
    .order_by(calls.c.began_at.desc())
    .limit(bindparam("limit"))
)
_newest_arrival = select(func.max(calls.c.changed_at))


def newest_sign_of_time(connection: Connection, *, limit: int = 100) -> Instant | None:
    """Return a time that the present cannot be far from: when the newest call began, as CloudTalk stated it.

    With a wrong clock, events arrive at a wrong time. So the arrival of an event without a stated start is no
    sign, and neither is a start that is later than the arrival. If none of the newest `limit` calls has a
    sign, CloudTalk sends no times, and the newest arrival counts. None without calls.
    """
    for began_at, changed_at, record in connection.execute(_newest_calls, {"limit": limit}):
        if began_at <= changed_at and _decode_stated_times(record).started_at is not None:
            return Instant(began_at)
    newest_arrival: Instant | None = connection.execute(_newest_arrival).scalar()
    return newest_arrival


def delete_old_quarantine(connection: Connection, *, before: Instant) -> None:
    """Delete quarantined bodies that were received before an instant."""
    connection.execute(delete(quarantine).where(quarantine.c.received_at < before))


def delete_old_client_state(connection: Connection, *, before: Instant) -> None:
    """Delete client state that was set before an instant; the client looks it up again if needed."""
    connection.execute(delete(client_state).where(client_state.c.updated_at < before))
