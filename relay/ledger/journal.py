"""The raw journal: events as they came, and whether they are folded."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from relay.call import CallEvent
from relay.instants import Instant
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import EventState, has_state, sql_state
from relay.ledger.tables import events

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CallEvent)


class NewEvent(msgspec.Struct, frozen=True):
    """An event as it came, secrets cut out, and the reading of it.

    `received_at` is unique within a process: intake stamps it ever growing.
    """

    received_at: int
    content_type: str
    path: str
    query: str
    raw: bytes
    parsed: CallEvent


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as the journal keeps it. `parsed` is read from the cache, not from the raw body.

    `call` is set once the event is folded; `problem` says why it was set aside.
    """

    seq: int
    received_at: Instant
    content_type: str
    path: str
    query: str
    raw: bytes
    parsed: CallEvent
    state: EventState
    call: str | None
    problem: str | None


class EventCounts(NamedTuple):
    """How many events were accepted, and how many of them are not folded yet."""

    accepted: int
    unfolded: int


class UnfoldedEvent(msgspec.Struct, frozen=True):
    """An event that is to be folded. `waited`: no link came for it within the grace period."""

    seq: int
    received_at: Instant
    parsed: CallEvent
    waited: bool = False


_given = rows_of(
    events.c.received_at,
    events.c.dialect,
    events.c.kind,
    events.c.content_type,
    events.c.path,
    events.c.query,
    events.c.parsed,
    Column("offset", Integer),
    Column("length", Integer),
)
# JSON bears no bytes: the bodies travel as one blob, of which each row knows its part. The blob begins
# with a byte of nobody's, because SQLite takes any part of an empty one for NULL.
_NOBODYS: Final = b"\0"
_raw = func.substr(bindparam("bodies", type_=LargeBinary), _given.c.offset, _given.c.length)
_append = (
    insert(events)
    .from_select(
        [*(c.name for c in _given.c if c.name not in {"offset", "length"}), "raw", "state"],
        select(
            *(c for c in _given.c if c.name not in {"offset", "length"}), _raw, sql_state(EventState.NEW)
        ).order_by(_given.c.received_at),
    )
    .returning(events.c.seq, events.c.received_at)
)


def append(connection: Connection, rows: Sequence[NewEvent]) -> list[int]:
    """Write the events down; their sequence numbers, in the order given."""
    given, offset = [], len(_NOBODYS) + 1
    for row in rows:
        parsed = _encoder.encode(row.parsed).decode()
        given.append(
            (
                row.received_at,
                row.parsed.dialect,
                row.parsed.kind,
                row.content_type,
                row.path,
                row.query,
                parsed,
                offset,
                len(row.raw),
            )
        )
        offset += len(row.raw)
    bodies = _NOBODYS + b"".join(row.raw for row in rows)
    numbers = {
        received_at: seq
        for seq, received_at in connection.execute(_append, bound(given) | {"bodies": bodies})
    }
    notify(connection)
    return [numbers[row.received_at] for row in rows]


_readable = select(events.c.seq, events.c.received_at, events.c.parsed).limit(bindparam("limit"))
_unfolded = _readable.where(has_state(events.c.state, EventState.NEW)).order_by(events.c.seq)
_due = _readable.where(
    has_state(events.c.state, EventState.WAITING),
    or_(events.c.waits_until <= bindparam("now"), events.c.waits_until > bindparam("latest")),
).order_by(events.c.waits_until)


def list_unfolded(connection: Connection, limit: int, *, now: int, grace: int) -> list[UnfoldedEvent]:
    """The events that are to be folded, oldest first; those whose grace is over among them.

    One that would wait for longer than the grace period began to before the clock was set back.
    """
    new = [
        UnfoldedEvent(seq, received_at, _decoder.decode(parsed))
        for seq, received_at, parsed in connection.execute(_unfolded, {"limit": limit})
    ]
    due = [
        UnfoldedEvent(seq, received_at, _decoder.decode(parsed), waited=True)
        for seq, received_at, parsed in connection.execute(
            _due, {"limit": limit, "now": now, "latest": now + grace}
        )
    ]
    return sorted(new + due, key=lambda event: event.seq)[:limit]


_folded = rows_of(events.c.seq, events.c.call)
_mark_folded = (
    update(events).where(events.c.seq == _folded.c.seq).values(state=EventState.FOLDED, call=_folded.c.call)
)


def mark_folded(connection: Connection, calls: Sequence[tuple[int, str]]) -> None:
    """These events stand in these calls now."""
    connection.execute(_mark_folded, bound(calls))


_waiting = rows_of(events.c.seq, events.c.waits_for)
_mark_waiting = (
    update(events)
    .where(events.c.seq == _waiting.c.seq)
    .values(state=EventState.WAITING, waits_for=_waiting.c.waits_for, waits_until=bindparam("until"))
)


def mark_waiting(connection: Connection, waiting: Sequence[tuple[int, str]], *, until: int) -> None:
    """These events wait for a call that has this alias."""
    connection.execute(_mark_waiting, bound(waiting) | {"until": until})


_linked = rows_of(events.c.waits_for)
_requeue_waiting = (
    update(events)
    .where(
        has_state(events.c.state, EventState.WAITING),
        events.c.waits_for.in_(select(_linked.c.waits_for)),
    )
    .values(state=EventState.NEW)
)


def requeue_waiting(connection: Connection, aliases: Sequence[str]) -> None:
    """A call has these aliases now: what waited for one is folded next."""
    connection.execute(_requeue_waiting, bound((alias,) for alias in aliases))


_moved = rows_of(Column("old", Text), Column("new", Text))
_reassign_merged = update(events).where(events.c.call == _moved.c.old).values(call=_moved.c.new)


def reassign_merged(connection: Connection, merged: Mapping[str, str]) -> None:
    """The events of these calls belong to other ones now."""
    connection.execute(_reassign_merged, bound(merged.items()))


def replace_parsed(connection: Connection, seq: int, parsed: CallEvent) -> None:
    """Keep a newer reading of this event's body."""
    statement = update(events).where(events.c.seq == seq)
    connection.execute(
        statement.values(parsed=_encoder.encode(parsed).decode(), dialect=parsed.dialect, kind=parsed.kind)
    )


def move_events(connection: Connection, numbers: Sequence[int], call: str) -> None:
    """These events belong to that call."""
    connection.execute(_mark_folded, bound((seq, call) for seq in numbers))


def set_aside(connection: Connection, seq: int, problem: str) -> None:
    """This event broke the fold: the rest goes on without it."""
    connection.execute(
        update(events).where(events.c.seq == seq).values(state=EventState.ASIDE, problem=problem)
    )


_stored = select(
    events.c.seq,
    events.c.received_at,
    events.c.content_type,
    events.c.path,
    events.c.query,
    events.c.raw,
    events.c.parsed,
    events.c.state,
    events.c.call,
    events.c.problem,
)
_by_seq = _stored.where(events.c.seq == bindparam("seq"))
_by_call = _stored.where(events.c.call == bindparam("call")).order_by(events.c.seq)


def get(connection: Connection, seq: int) -> StoredEvent:
    """Return the event with this number. Raises `NoResultFound`."""
    return _stored_event(connection.execute(_by_seq, {"seq": seq}).one())


def list_for_call(connection: Connection, call: str) -> list[StoredEvent]:
    """Return the events that were folded into this call, in the order of arrival."""
    return [_stored_event(row) for row in connection.execute(_by_call, {"call": call})]


def _stored_event(row: Sequence[Any]) -> StoredEvent:
    seq, received_at, content_type, path, query, raw, parsed, state, call, problem = row
    event = _decoder.decode(parsed)
    return StoredEvent(
        seq, received_at, content_type, path, query, raw, event, EventState(state), call, problem
    )


_is_unfolded = has_state(events.c.state, EventState.NEW, EventState.WAITING)


def count(connection: Connection) -> EventCounts:
    """Count the events of the journal."""
    accepted = connection.execute(select(func.count()).select_from(events)).scalar_one()
    unfolded = connection.execute(select(func.count()).select_from(events).where(_is_unfolded)).scalar_one()
    return EventCounts(accepted, unfolded)
