"""What is not folded: the events to fold next, and how the fold marks them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from sqlalchemy import Column, Text, bindparam, delete, false, func, or_, select, union_all, update

from relay.call import CallEvent
from relay.instants import Duration, Instant
from relay.ledger.compression import decompress_many
from relay.ledger.connection import Connection
from relay.ledger.journal.rows import UnfoldedEvent, UnfoldedEvents, decode
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import EventState, has_state
from relay.ledger.tables import bodies, events

MAX_FOLD_BYTES: Final = 4 * 1024 * 1024
"""The limit of the parsed forms that are folded together."""

_candidate_columns = (events.c.seq, events.c.received_at, events.c.size)
_select_new = (
    select(*_candidate_columns, false().label("waited"))
    .where(has_state(events.c.state, EventState.NEW))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)
_select_waited = (
    select(*_candidate_columns, (events.c.waits_until <= bindparam("now")).label("waited"))
    .where(
        has_state(events.c.state, EventState.WAITING),
        or_(events.c.waits_until <= bindparam("now"), events.c.waits_until > bindparam("latest")),
    )
    .order_by(events.c.waits_until)
    .limit(bindparam("limit"))
)
_select_unfolded = union_all(select(_select_new.subquery()), select(_select_waited.subquery()))
_seq_rows = rows_of(bodies.c.seq)
_select_parsed = select(bodies.c.seq, bodies.c.parsed).join(_seq_rows, _seq_rows.c.seq == bodies.c.seq)


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
    candidates = [_Candidate(*row) for row in connection.execute(_select_unfolded, parameters)]
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
    rows = connection.execute(_select_parsed, bound((seq,) for seq in seqs)).all()
    decoded = decompress_many([parsed for _, parsed in rows])
    return {seq: decode(parsed) for (seq, _), parsed in zip(rows, decoded, strict=True)}


_folded_rows = rows_of(events.c.seq, events.c.call)
_mark_folded = (
    update(events)
    .where(events.c.seq == _folded_rows.c.seq)
    .values(
        state=EventState.FOLDED,
        call=_folded_rows.c.call,
        folded_at=func.coalesce(bindparam("folded_at"), events.c.folded_at),
    )
)
_waiting_rows = rows_of(events.c.seq, events.c.waits_for)
_mark_waiting = (
    update(events)
    .where(events.c.seq == _waiting_rows.c.seq)
    .values(state=EventState.WAITING, waits_for=_waiting_rows.c.waits_for, waits_until=bindparam("until"))
)
_alias_rows = rows_of(events.c.waits_for)
_requeue_waiting = (
    update(events)
    .where(
        has_state(events.c.state, EventState.WAITING),
        events.c.waits_for.in_(select(_alias_rows.c.waits_for)),
    )
    .values(state=EventState.NEW)
)
_merged_rows = rows_of(Column("old", Text), Column("new", Text))
_reassign_merged = update(events).where(events.c.call == _merged_rows.c.old).values(call=_merged_rows.c.new)


def mark_folded(
    connection: Connection, folded: Sequence[tuple[int, str]], *, now: Instant | None = None
) -> None:
    """Set the call of these events: (sequence number, call). `now`: None keeps an earlier time."""
    connection.execute(_mark_folded, bound(folded) | {"folded_at": now})


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


_requeue_aside = (
    update(events)
    .where(events.c.seq == bindparam("of_seq"), has_state(events.c.state, EventState.ASIDE))
    .values(state=EventState.NEW, problem=None)
)


def requeue_aside(connection: Connection, seq: int) -> None:
    """Let the fold try an event again that was set aside."""
    connection.execute(_requeue_aside, {"of_seq": seq})


def remove(connection: Connection, seq: int) -> None:
    """Delete an event for good."""
    for table in (bodies, events):
        connection.execute(delete(table).where(table.c.seq == seq))
