"""Reading stored events and counting them, for people and for commands."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from relay.instants import Instant
from relay.ledger.compression import decompress
from relay.ledger.connection import Connection
from relay.ledger.journal.rows import EventSize, StoredEvent, UnfoldedEvent, UnmatchedEvent, decode
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import EventState, has_state
from relay.ledger.tables import bodies, events

_seqs = rows_of(bodies.c.seq)
_stored = select(
    events.c.seq,
    events.c.received_at,
    events.c.content_type,
    events.c.path,
    events.c.query,
    bodies.c.raw,
    bodies.c.parsed,
    events.c.state,
    events.c.call,
    events.c.problem,
    events.c.folded_at,
).join(bodies, bodies.c.seq == events.c.seq)
_by_seq = _stored.where(events.c.seq == bindparam("seq"))
_by_call = _stored.where(events.c.call == bindparam("call")).order_by(events.c.seq)
_by_seqs = _stored.join(_seqs, _seqs.c.seq == events.c.seq).order_by(events.c.seq)
_aside = select(events.c.seq).where(has_state(events.c.state, EventState.ASIDE)).order_by(events.c.seq)
_calls = rows_of(events.c.call)
_sizes = (
    select(events.c.call, events.c.seq, events.c.size)
    .join(_calls, _calls.c.call == events.c.call)
    .order_by(events.c.call, events.c.seq)
)
_FETCHED: Final = "rest"
"""The dialect of events that the relay fetched, see `relay.cloudtalk.dialects`."""

_has_new = (
    select(events.c.seq)
    .where(has_state(events.c.state, EventState.NEW), events.c.seq <= bindparam("last_seq"))
    .limit(1)
)
_is_unfolded = has_state(events.c.state, EventState.NEW, EventState.WAITING)


def get(connection: Connection, seq: int) -> StoredEvent:
    """Return the event with this number. Raises `NoResultFound`."""
    return _stored_event(connection.execute(_by_seq, {"seq": seq}).one())


def list_for_call(connection: Connection, call: str) -> list[StoredEvent]:
    """Return the events that were folded into this call, in the order of arrival."""
    return [_stored_event(row) for row in connection.execute(_by_call, {"call": call})]


def list_newest_for_call(
    connection: Connection, call: str, *, limit: int, max_bytes: int
) -> tuple[list[StoredEvent], int]:
    """Return the newest events of this call in the order of arrival, and how many older ones are left out.

    There are at most `limit`; their parsed forms have at most `max_bytes` together, or it is one event.
    """
    chosen: list[int] = []
    sizes = list_sizes(connection, [call])
    for event in reversed(sizes):
        max_bytes -= event.size
        if len(chosen) == limit or (chosen and max_bytes < 0):
            break
        chosen.append(event.seq)
    return get_many(connection, chosen), len(sizes) - len(chosen)


def get_many(connection: Connection, seqs: Sequence[int]) -> list[StoredEvent]:
    """Return the events with these numbers, in the order of arrival; unknown numbers are absent."""
    return [_stored_event(row) for row in connection.execute(_by_seqs, bound((seq,) for seq in seqs))]


def list_sizes(connection: Connection, ids: Sequence[str]) -> list[EventSize]:
    """Return the events of these calls, call by call, in the order of arrival."""
    return [EventSize(*row) for row in connection.execute(_sizes, bound((id_,) for id_ in ids))]


def list_aside(connection: Connection) -> list[int]:
    """Return the numbers of the events that were set aside."""
    return list(connection.execute(_aside).scalars())


_unmatched = {
    state: select(events.c.seq, events.c.received_at, events.c.waits_until, bodies.c.parsed)
    .join(bodies, bodies.c.seq == events.c.seq)
    .where(has_state(events.c.state, state))
    .order_by(events.c.seq.desc())
    .limit(bindparam("limit"))
    for state in (EventState.WAITING, EventState.NEW, EventState.ASIDE)
}


def list_unmatched(connection: Connection, limit: int) -> Iterator[UnmatchedEvent]:
    """Yield the newest events of each state in which an event is in no call, up to `limit` of each."""
    for state, statement in _unmatched.items():
        for seq, received_at, waits_until, parsed in connection.execute(statement, {"limit": limit}):
            until = waits_until if state is EventState.WAITING else None
            event = decode(decompress(parsed))
            yield UnmatchedEvent(seq, received_at, state, until, event.aliases)


_outside_calls = (
    select(events.c.seq, events.c.received_at, bodies.c.parsed)
    .join(bodies, bodies.c.seq == events.c.seq)
    .where(
        has_state(events.c.state, EventState.NEW, EventState.WAITING, EventState.ASIDE),
        events.c.seq > bindparam("after"),
    )
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)


def list_outside_calls(connection: Connection, *, after: int, limit: int) -> list[UnfoldedEvent]:
    """Return the next events that are in no call: new ones, waiting ones, and those that were set aside."""
    found = connection.execute(_outside_calls, {"after": after, "limit": limit})
    return [
        UnfoldedEvent(seq, received_at, decode(decompress(parsed)), waited=False)
        for seq, received_at, parsed in found
    ]


def last_received_at(connection: Connection) -> Instant | None:
    """Return when the newest event arrived that CloudTalk sent; None if it sent none. What the relay fetched
    itself does not count. This reads the rows since then.
    """
    sent = select(events.c.received_at).where(events.c.dialect != _FETCHED)
    newest = sent.order_by(events.c.seq.desc()).limit(1)
    arrived: Instant | None = connection.execute(newest).scalar()
    return arrived


def _stored_event(row: Sequence[Any]) -> StoredEvent:
    seq, received_at, content_type, path, query, raw, parsed, state, call, problem, folded_at = row
    return StoredEvent(
        seq,
        received_at,
        content_type,
        path,
        query,
        decompress(raw),
        decode(decompress(parsed)),
        EventState(state),
        call,
        problem,
        folded_at,
    )


def count_accepted(connection: Connection) -> int:
    """Count all events of the journal. This reads an index of them all."""
    return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


def count_unfolded(connection: Connection) -> int:
    """Count the events that are not folded yet."""
    unfolded = select(func.count()).select_from(events).where(_is_unfolded)
    return int(connection.execute(unfolded).scalar_one())


_oldest_unfolded = [
    select(events.c.received_at).where(has_state(events.c.state, state)).order_by(order).limit(1)
    for state, order in ((EventState.NEW, events.c.seq), (EventState.WAITING, events.c.waits_until))
]


def has_new(connection: Connection, last_seq: int) -> bool:
    """Whether an event up to this number is new: neither folded nor set aside, and it does not wait."""
    return connection.execute(_has_new, {"last_seq": last_seq}).scalar() is not None


def unfolded_since(connection: Connection, *, waiting: bool) -> Instant | None:
    """Return when the oldest event arrived that is not folded yet; None if all are. This reads a row, or two.

    `waiting`: whether events count that wait for another one to name their call.
    """
    states = _oldest_unfolded if waiting else _oldest_unfolded[:1]
    found = [connection.execute(oldest).scalar() for oldest in states]
    return min((received_at for received_at in found if received_at is not None), default=None)


_missing = (
    select(events.c.missing, func.count())
    .where(events.c.missing.is_not(None), events.c.received_at >= bindparam("since"))
    .group_by(events.c.missing)
    .order_by(events.c.missing)
)


def count_missing(connection: Connection, *, since: Instant) -> dict[str, int]:
    """Count the Ended events since then that do not state whether anybody talked, by the variable that they
    lack.
    """
    found = connection.execute(_missing, {"since": since})
    return {str(variable): int(events_without) for variable, events_without in found}
