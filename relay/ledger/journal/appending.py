"""Adding events to the journal, and replacing what was parsed of them."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, bindparam, func, insert, select, update

from relay.call import CallEvent
from relay.ledger.compression import compress, compress_many
from relay.ledger.connection import Connection
from relay.ledger.journal.rows import NewEvent, encode
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.notifications import notify
from relay.ledger.states import EventState, sql_state
from relay.ledger.tables import bodies, events

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
    parsed = [encode(event.parsed) for event in new]
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


def replace_parsed(connection: Connection, seq: int, parsed: CallEvent) -> None:
    """Replace the cached form of this event."""
    encoded = encode(parsed)
    values = {
        "size": len(encoded),
        "dialect": parsed.dialect,
        "kind": parsed.kind,
        "missing": parsed.missing,
    }
    connection.execute(update(events).where(events.c.seq == seq).values(values))
    connection.execute(update(bodies).where(bodies.c.seq == seq).values(parsed=compress(encoded)))
