"""The journal: every accepted event as it was received, and whether it is folded."""

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
from relay.instants import Duration, Instant
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import EventState, has_state, sql_state
from relay.ledger.tables import events

_encoder = msgspec.json.Encoder()
_decode_parsed = msgspec.json.Decoder(CallEvent).decode


class NewEvent(msgspec.Struct, frozen=True):
    """An event to append: its raw body, secrets removed, and its parsed form.

    `received_at` must be unique within a process; see `GroupCommit.next_received_at`.
    """

    received_at: Instant
    content_type: str
    path: str
    query: str
    raw: bytes
    parsed: CallEvent


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it is stored. `parsed` is the cached form, not parsed again from `raw`.

    `call` is None until the event is folded; `problem` says why the fold failed on it.
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


class UnfoldedEvent(msgspec.Struct, frozen=True):
    """An event to fold. `waited`: its grace period ended without a link to a call."""

    seq: int
    received_at: Instant
    parsed: CallEvent
    waited: bool = False


class EventCounts(NamedTuple):
    """How many events were accepted, and how many of them are not folded yet."""

    accepted: int
    unfolded: int


# --- writing ------------------------------------------------------------------------------------

# JSON holds no bytes: the bodies of all rows are bound as one blob, and each row has its place in it. The
# blob starts with a filler byte, because SQLite returns NULL for any part of an empty blob.
_FILLER: Final = b"\0"
_copied = (
    events.c.received_at,
    events.c.dialect,
    events.c.kind,
    events.c.content_type,
    events.c.path,
    events.c.query,
    events.c.parsed,
    events.c.missing,
)
_new = rows_of(*_copied, Column("offset", Integer), Column("length", Integer))
_raw = func.substr(bindparam("bodies", type_=LargeBinary), _new.c.offset, _new.c.length)
_append = (
    insert(events)
    .from_select(
        [*(column.name for column in _copied), "raw", "state"],
        select(*(_new.c[column.name] for column in _copied), _raw, sql_state(EventState.NEW)).order_by(
            _new.c.received_at
        ),
    )
    .returning(events.c.seq, events.c.received_at)
)


def append(connection: Connection, new: Sequence[NewEvent]) -> list[int]:
    """Insert the events and return their sequence numbers, in the order given."""
    rows, offset = [], len(_FILLER) + 1
    for event in new:
        rows.append(
            (
                event.received_at,
                event.parsed.dialect,
                event.parsed.kind,
                event.content_type,
                event.path,
                event.query,
                _encoder.encode(event.parsed).decode(),
                event.parsed.missing,
                offset,
                len(event.raw),
            )
        )
        offset += len(event.raw)
    bodies = _FILLER + b"".join(event.raw for event in new)
    inserted = connection.execute(_append, bound(rows) | {"bodies": bodies})
    seqs = {received_at: seq for seq, received_at in inserted}
    notify(connection)
    return [seqs[event.received_at] for event in new]


def replace_parsed(connection: Connection, seq: int, parsed: CallEvent) -> None:
    """Replace the cached form of this event."""
    values = {
        "parsed": _encoder.encode(parsed).decode(),
        "dialect": parsed.dialect,
        "kind": parsed.kind,
        "missing": parsed.missing,
    }
    connection.execute(update(events).where(events.c.seq == seq).values(values))


# --- what is not folded -------------------------------------------------------------------------

_unfolded_columns = select(events.c.seq, events.c.received_at, events.c.parsed).limit(bindparam("limit"))
_unfolded = _unfolded_columns.where(has_state(events.c.state, EventState.NEW)).order_by(events.c.seq)
_due = _unfolded_columns.where(
    has_state(events.c.state, EventState.WAITING),
    or_(events.c.waits_until <= bindparam("now"), events.c.waits_until > bindparam("latest")),
).order_by(events.c.waits_until)


def list_unfolded(
    connection: Connection, limit: int, *, now: Instant, grace: Duration
) -> list[UnfoldedEvent]:
    """Return the events to fold, oldest first: new ones, and waiting ones whose grace period is over.

    A wait that would last longer than the grace period began before the clock was set back: it is over.
    """
    new = [
        UnfoldedEvent(seq, received_at, _decode_parsed(parsed))
        for seq, received_at, parsed in connection.execute(_unfolded, {"limit": limit})
    ]
    parameters = {"limit": limit, "now": now, "latest": now + grace}
    due = [
        UnfoldedEvent(seq, received_at, _decode_parsed(parsed), waited=True)
        for seq, received_at, parsed in connection.execute(_due, parameters)
    ]
    return sorted(new + due, key=lambda event: event.seq)[:limit]


_folded = rows_of(events.c.seq, events.c.call)
_mark_folded = (
    update(events).where(events.c.seq == _folded.c.seq).values(state=EventState.FOLDED, call=_folded.c.call)
)
_waiting = rows_of(events.c.seq, events.c.waits_for)
_mark_waiting = (
    update(events)
    .where(events.c.seq == _waiting.c.seq)
    .values(state=EventState.WAITING, waits_for=_waiting.c.waits_for, waits_until=bindparam("until"))
)
_aliases = rows_of(events.c.waits_for)
_requeue_waiting = (
    update(events)
    .where(
        has_state(events.c.state, EventState.WAITING),
        events.c.waits_for.in_(select(_aliases.c.waits_for)),
    )
    .values(state=EventState.NEW)
)
_merged = rows_of(Column("old", Text), Column("new", Text))
_reassign_merged = update(events).where(events.c.call == _merged.c.old).values(call=_merged.c.new)


def mark_folded(connection: Connection, folded: Sequence[tuple[int, str]]) -> None:
    """Set the call of these events: (sequence number, call)."""
    connection.execute(_mark_folded, bound(folded))


def mark_waiting(connection: Connection, waiting: Sequence[tuple[int, str]], *, until: Instant) -> None:
    """Let these events, (sequence number, alias), wait until a call has the alias."""
    connection.execute(_mark_waiting, bound(waiting) | {"until": until})


def requeue_waiting(connection: Connection, aliases: Sequence[str]) -> None:
    """End the wait of the events that wait for one of these aliases."""
    connection.execute(_requeue_waiting, bound((alias,) for alias in aliases))


def reassign_merged(connection: Connection, merged: Mapping[str, str]) -> None:
    """Move all events of merged calls (merged call → surviving call)."""
    connection.execute(_reassign_merged, bound(merged.items()))


def set_aside(connection: Connection, seq: int, problem: str) -> None:
    """Exclude an event on which the fold failed, so that the others are folded."""
    values = {"state": EventState.ASIDE, "problem": problem}
    connection.execute(update(events).where(events.c.seq == seq).values(values))


# --- reading ------------------------------------------------------------------------------------

_stored = select(*(events.c[name] for name in StoredEvent.__struct_fields__))
_by_seq = _stored.where(events.c.seq == bindparam("seq"))
_by_call = _stored.where(events.c.call == bindparam("call")).order_by(events.c.seq)
_is_unfolded = has_state(events.c.state, EventState.NEW, EventState.WAITING)


def get(connection: Connection, seq: int) -> StoredEvent:
    """Return the event with this number. Raises `NoResultFound`."""
    return _stored_event(connection.execute(_by_seq, {"seq": seq}).one())


def list_for_call(connection: Connection, call: str) -> list[StoredEvent]:
    """Return the events that were folded into this call, in the order of arrival."""
    return [_stored_event(row) for row in connection.execute(_by_call, {"call": call})]


def _stored_event(row: Sequence[Any]) -> StoredEvent:
    seq, received_at, content_type, path, query, raw, parsed, state, call, problem = row
    event = _decode_parsed(parsed)
    return StoredEvent(
        seq, received_at, content_type, path, query, raw, event, EventState(state), call, problem
    )


def count(connection: Connection) -> EventCounts:
    """Count the events of the journal."""
    accepted = connection.execute(select(func.count()).select_from(events)).scalar_one()
    unfolded = connection.execute(select(func.count()).select_from(events).where(_is_unfolded)).scalar_one()
    return EventCounts(accepted, unfolded)


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
