"""The journal: every accepted event as it was received, and whether it is folded."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from relay.call import CallEvent
from relay.instants import Duration, Instant
from relay.ledger.compression import compress, compress_many, decompress, decompress_many
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of, without_nul
from relay.ledger.notifications import notify
from relay.ledger.states import EventState, has_state, sql_state
from relay.ledger.tables import bodies, events

MAX_FOLD_BYTES: Final = 4 * 1024 * 1024
"""The limit of the parsed forms that are folded together."""

ASIDE_PREFIX: Final = "e"
"""Before the sequence number of an event in quarantine, where bodies have numbers too."""

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

    @property
    def name(self) -> str:
        """The id in `relay quarantine list` if the event was set aside."""
        return f"{ASIDE_PREFIX}{self.seq}"


class EventSize(NamedTuple):
    """An event of a call, and the bytes of its parsed form."""

    call: str
    seq: int
    size: int


class UnfoldedEvent(msgspec.Struct, frozen=True):
    """An event to fold. `waited`: its grace period ended without a link to a call."""

    seq: int
    received_at: Instant
    parsed: CallEvent
    waited: bool = False


class UnfoldedEvents(NamedTuple):
    """The next events to fold. `has_more`: whether others may be left, as far as the limits hid them."""

    events: list[UnfoldedEvent]
    has_more: bool


class EventCounts(NamedTuple):
    """How many events were accepted, how many of them are not folded yet, and how many were set aside."""

    accepted: int
    unfolded: int
    aside: int


# --- writing ------------------------------------------------------------------------------------

_copied = (
    events.c.received_at,
    events.c.dialect,
    events.c.kind,
    events.c.content_type,
    events.c.path,
    events.c.query,
    events.c.size,
    events.c.missing,
)
_new = rows_of(*_copied)
_append = (
    insert(events)
    .from_select(
        [*(column.name for column in _copied), "state"],
        select(_new, sql_state(EventState.NEW)).order_by(_new.c.received_at),
    )
    .returning(events.c.seq, events.c.received_at)
)

# JSON holds no bytes: the frames of all rows are bound as one blob, and each row has its places in it.
_places = rows_of(
    bodies.c.seq,
    *(Column(name, Integer) for name in ("parsed_at", "parsed_length", "raw_at", "raw_length")),
)
_blob = bindparam("blob", type_=LargeBinary)
_append_bodies = insert(bodies).from_select(
    ["seq", "parsed", "raw"],
    select(
        _places.c.seq,
        func.substr(_blob, _places.c.parsed_at, _places.c.parsed_length),
        func.substr(_blob, _places.c.raw_at, _places.c.raw_length),
    ),
)


def append(connection: Connection, new: Sequence[NewEvent]) -> list[int]:
    """Insert the events and return their sequence numbers, in the order given."""
    parsed = [_encode(event.parsed) for event in new]
    rows = [_row(event, len(encoded)) for event, encoded in zip(new, parsed, strict=True)]
    seq_by_arrival = {received_at: seq for seq, received_at in connection.execute(_append, bound(rows))}
    seqs = [seq_by_arrival[event.received_at] for event in new]
    _append_all_bodies(connection, seqs, parsed, [event.raw for event in new])
    notify(connection)
    return seqs


def _row(event: NewEvent, size: int) -> tuple[Any, ...]:
    return (
        event.received_at,
        event.parsed.dialect,
        event.parsed.kind,
        event.content_type,
        event.path,
        event.query,
        size,
        event.parsed.missing,
    )


def _append_all_bodies(
    connection: Connection, seqs: Sequence[int], parsed: Sequence[bytes], raw: Sequence[bytes]
) -> None:
    frames = compress_many([*parsed, *raw])
    ends = list(accumulate(map(len, frames)))
    places = [(end - len(frame) + 1, len(frame)) for frame, end in zip(frames, ends, strict=True)]
    rows = [
        (seq, *of_parsed, *of_raw)
        for seq, of_parsed, of_raw in zip(seqs, places[: len(seqs)], places[len(seqs) :], strict=True)
    ]
    connection.execute(_append_bodies, bound(rows) | {"blob": b"".join(frames)})


def _encode(parsed: CallEvent) -> bytes:
    return without_nul(_encoder.encode(parsed))


def replace_parsed(connection: Connection, seq: int, parsed: CallEvent) -> None:
    """Replace the cached form of this event."""
    encoded = _encode(parsed)
    values = {
        "size": len(encoded),
        "dialect": parsed.dialect,
        "kind": parsed.kind,
        "missing": parsed.missing,
    }
    connection.execute(update(events).where(events.c.seq == seq).values(values))
    connection.execute(update(bodies).where(bodies.c.seq == seq).values(parsed=compress(encoded)))


# --- what is not folded -------------------------------------------------------------------------

_unfolded_columns = (events.c.seq, events.c.received_at, events.c.size)
_unfolded = (
    select(*_unfolded_columns, false().label("waited"))
    .where(has_state(events.c.state, EventState.NEW))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)
_due = (
    select(*_unfolded_columns, (events.c.waits_until <= bindparam("now")).label("waited"))
    .where(
        has_state(events.c.state, EventState.WAITING),
        or_(events.c.waits_until <= bindparam("now"), events.c.waits_until > bindparam("latest")),
    )
    .order_by(events.c.waits_until)
    .limit(bindparam("limit"))
)
_unfolded_or_due = union_all(select(_unfolded.subquery()), select(_due.subquery()))
_seqs = rows_of(bodies.c.seq)
_parsed = select(bodies.c.seq, bodies.c.parsed).join(_seqs, _seqs.c.seq == bodies.c.seq)


class _Candidate(NamedTuple):
    seq: int
    received_at: Instant
    size: int
    waited: bool


def list_unfolded(
    connection: Connection, limit: int, *, now: Instant, grace: Duration, max_bytes: int = MAX_FOLD_BYTES
) -> UnfoldedEvents:
    """Return the events to fold, oldest first: new ones, and waiting ones whose grace period is over.

    Their parsed forms have at most `max_bytes` together, or it is one event. A wait that would last longer
    than the grace period began before the clock was set back: the event is folded as if it was new, and
    so waits again.
    """
    parameters = {"limit": limit, "now": now, "latest": now + grace}
    candidates = [_Candidate(*row) for row in connection.execute(_unfolded_or_due, parameters)]
    if not candidates:
        return UnfoldedEvents([], has_more=False)
    chosen = _within(sorted(candidates)[:limit], max_bytes)
    parsed = _read_parsed(connection, [candidate.seq for candidate in chosen])
    unfolded = [
        UnfoldedEvent(event.seq, event.received_at, parsed[event.seq], waited=bool(event.waited))
        for event in chosen
    ]
    return UnfoldedEvents(unfolded, has_more=len(chosen) == limit or len(chosen) < len(candidates))


def _within(candidates: Sequence[_Candidate], max_bytes: int) -> list[_Candidate]:
    """Return the first candidates whose sizes are at most `max_bytes` together, but at least one."""
    totals = accumulate(candidate.size for candidate in candidates)
    number = sum(total <= max_bytes for total in totals)
    return list(candidates[: max(number, 1)])


def _read_parsed(connection: Connection, seqs: Sequence[int]) -> dict[int, CallEvent]:
    rows = connection.execute(_parsed, bound((seq,) for seq in seqs)).all()
    decoded = decompress_many([parsed for _, parsed in rows])
    return {seq: _decode_parsed(parsed) for (seq, _), parsed in zip(rows, decoded, strict=True)}


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


def requeue_waiting(connection: Connection, aliases: Sequence[str]) -> int:
    """End the wait of the events that wait for one of these aliases, and return their number."""
    return connection.execute(_requeue_waiting, bound((alias,) for alias in aliases)).rowcount


def reassign_merged(connection: Connection, merged: Mapping[str, str]) -> None:
    """Move all events of merged calls (merged call → surviving call)."""
    connection.execute(_reassign_merged, bound(merged.items()))


def set_aside(connection: Connection, seq: int, problem: str) -> None:
    """Exclude an event on which the fold failed, so that the others are folded."""
    values = {"state": EventState.ASIDE, "problem": problem}
    connection.execute(update(events).where(events.c.seq == seq).values(values))


def requeue_aside(connection: Connection, seq: int) -> None:
    """Let the fold try an event again that was set aside."""
    connection.execute(_requeue_aside, {"of_seq": seq})


_requeue_aside = (
    update(events)
    .where(events.c.seq == bindparam("of_seq"), has_state(events.c.state, EventState.ASIDE))
    .values(state=EventState.NEW, problem=None)
)


def remove(connection: Connection, seq: int) -> None:
    """Delete an event for good."""
    for table in (bodies, events):
        connection.execute(delete(table).where(table.c.seq == seq))


# --- reading ------------------------------------------------------------------------------------

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
_is_unfolded = has_state(events.c.state, EventState.NEW, EventState.WAITING)


def get(connection: Connection, seq: int) -> StoredEvent:
    """Return the event with this number. Raises `NoResultFound`."""
    return _stored_event(connection.execute(_by_seq, {"seq": seq}).one())


def list_for_call(connection: Connection, call: str) -> list[StoredEvent]:
    """Return the events that were folded into this call, in the order of arrival."""
    return [_stored_event(row) for row in connection.execute(_by_call, {"call": call})]


def get_many(connection: Connection, seqs: Sequence[int]) -> list[StoredEvent]:
    """Return the events with these numbers, in the order of arrival; unknown numbers are absent."""
    return [_stored_event(row) for row in connection.execute(_by_seqs, bound((seq,) for seq in seqs))]


def list_sizes(connection: Connection, ids: Sequence[str]) -> list[EventSize]:
    """Return the events of these calls, call by call, in the order of arrival."""
    return [EventSize(*row) for row in connection.execute(_sizes, bound((id_,) for id_ in ids))]


def list_aside(connection: Connection) -> list[int]:
    """Return the numbers of the events that were set aside."""
    return list(connection.execute(_aside).scalars())


class UnmatchedEvent(NamedTuple):
    """An event that is in no call yet, and its ids. `waits_until`: None unless it waits for a link."""

    seq: int
    received_at: Instant
    state: EventState
    waits_until: Instant | None
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The id in `relay quarantine list` if the event was set aside."""
        return f"{ASIDE_PREFIX}{self.seq}"


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
            event = _decode_parsed(decompress(parsed))
            yield UnmatchedEvent(seq, received_at, state, until, event.aliases)


def last_received_at(connection: Connection) -> Instant | None:
    """Return when the newest event of the journal arrived; None if the journal is empty."""
    newest = select(events.c.received_at).order_by(events.c.seq.desc()).limit(1)
    arrived: Instant | None = connection.execute(newest).scalar()
    return arrived


def _stored_event(row: Sequence[Any]) -> StoredEvent:
    seq, received_at, content_type, path, query, raw, parsed, state, call, problem = row
    return StoredEvent(
        seq,
        received_at,
        content_type,
        path,
        query,
        decompress(raw),
        _decode_parsed(decompress(parsed)),
        EventState(state),
        call,
        problem,
    )


def count(connection: Connection) -> EventCounts:
    """Count the events of the journal."""
    accepted = connection.execute(select(func.count()).select_from(events)).scalar_one()
    unfolded = connection.execute(select(func.count()).select_from(events).where(_is_unfolded)).scalar_one()
    return EventCounts(accepted, unfolded, len(list_aside(connection)))


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
