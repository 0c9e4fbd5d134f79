"""The joined record of each call, with the join state behind it."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    and_,
    bindparam,
    func,
    insert,
    select,
    true,
    update,
)

from relay.call import Call, CallState, Status, call_back_of, has_conversation, is_from_history
from relay.instants import Instant
from relay.ledger import call_terms
from relay.ledger.call_terms import CallTerms
from relay.ledger.connection import Connection
from relay.ledger.errors import CallPruned
from relay.ledger.json_rows import TextInBlob, bound, rows_of, without_nul
from relay.ledger.search_terms import terms_of, to_text
from relay.ledger.states import has_state
from relay.ledger.tables import calls

_encoder = msgspec.json.Encoder()
_decode_state = msgspec.json.Decoder(CallState).decode
decode_record = msgspec.json.Decoder(Call).decode
_decode_field_versions = msgspec.json.Decoder(dict[str, int]).decode


class NumberWindow(NamedTuple):
    """A customer's number, and the first and the last instant at which a call of it began."""

    number: str
    since: Instant
    until: Instant


class Among(StrEnum):
    """Which calls with a number are read: a number may call all day, or be typed as a constant."""

    ALL = "all"
    HISTORY = "history"
    """Those that CloudTalk's history has stated."""
    OPEN = "open"
    """Those that may not be over yet."""


class CallRow(msgspec.Struct, frozen=True):
    """A call as it is stored.

    `began_at`: its start, else its end or the arrival of its first event. `field_versions`: for each field
    the version in which it changed last, 0 if its value is only a default. `number`: the customer's, if it is
    an E.164 number.
    """

    id: str
    version: int
    began_at: Instant
    state: CallState
    record: Call
    field_versions: dict[str, int]
    number: str | None = None


_read_columns = (
    calls.c.id,
    calls.c.version,
    calls.c.began_at,
    calls.c.state,
    calls.c.record,
    calls.c.field_versions,
    calls.c.number,
)
_is_not_merged = calls.c.merged_into.is_(None)
_rows = rows_of(
    calls.c.id,
    calls.c.version,
    calls.c.began_at,
    calls.c.field_versions,
    calls.c.number,
    calls.c.merged_into,
    calls.c.changed_at,
    calls.c.status,
    calls.c.direction,
    calls.c.talked,
    calls.c.from_history,
    calls.c.called_back_at,
    calls.c.called_back_call,
    *(Column(name, Integer) for name in ("state_at", "state_length", "record_at", "record_length")),
)
_blob = bindparam("blob", type_=LargeBinary)
_values = {
    "version": _rows.c.version,
    "began_at": _rows.c.began_at,
    "field_versions": _rows.c.field_versions,
    "number": _rows.c.number,
    "merged_into": _rows.c.merged_into,
    "changed_at": _rows.c.changed_at,
    "status": _rows.c.status,
    "direction": _rows.c.direction,
    "talked": _rows.c.talked,
    "from_history": _rows.c.from_history,
    "called_back_at": _rows.c.called_back_at,
    "called_back_call": _rows.c.called_back_call,
    "state": TextInBlob(_blob, _rows.c.state_at, _rows.c.state_length),
    "record": TextInBlob(_blob, _rows.c.record_at, _rows.c.record_length),
}
_insert = insert(calls).from_select(["id", *_values], select(_rows.c.id, *_values.values()))
_update = update(calls).where(calls.c.id == _rows.c.id).values(_values)


def write(
    connection: Connection,
    new: Sequence[CallRow],
    changed: Sequence[CallRow],
    *,
    same_terms: Collection[str] = (),
) -> None:
    """Insert the new calls and update the changed ones. Raises `CallPruned` if a changed one is gone.

    `same_terms`: changed calls that began when they did before, and whose search terms are the same.
    """
    if new:
        connection.execute(_insert, _bound(new))
        call_terms.add(connection, _terms(new))
    if changed:
        if searched := [row for row in changed if row.id not in same_terms]:
            call_terms.replace(connection, _terms(searched))
        if connection.execute(_update, _bound(changed)).rowcount < len(changed):
            raise CallPruned("a call was pruned after it was read")


def _terms(rows: Iterable[CallRow]) -> dict[str, CallTerms]:
    return {row.id: CallTerms(row.began_at, to_text(terms_of(row.record))) for row in rows}


def _bound(rows: Iterable[CallRow]) -> dict[str, Any]:
    """Sorted by id, so that two transactions lock rows in the same order."""
    ordered = sorted(rows, key=lambda row: row.id)
    values, texts, position = [], [], 1
    for row in ordered:
        state, record = (without_nul(_encoder.encode(part)) for part in (row.state, row.record))
        call_back = call_back_of(row.state)
        values.append(
            (
                row.id,
                row.version,
                row.began_at,
                _encoder.encode(row.field_versions).decode(),
                row.number,
                row.record.merged_into,
                _changed_at(row.state),
                row.record.status,
                row.record.direction or "",
                has_conversation(row.state),
                is_from_history(row.state) or None,
                call_back and call_back.began_at,
                call_back and (call_back.call or None),
                position,
                len(state),
                position + len(state),
                len(record),
            )
        )
        texts += [state, record]
        position += len(state) + len(record)
    return bound(values) | {"blob": b"".join(texts)}


def _changed_at(state: CallState) -> Instant:
    """The arrival of the last event that set a value. A rebuild does not change it."""
    return max([*state.seen.values(), *(stamp.received_at for stamp in state.stamps.values())])


_ids = rows_of(calls.c.id)
_by_id = select(*_read_columns).join(_ids, _ids.c.id == calls.c.id)
_windows = rows_of(calls.c.number, Column("since", BigInteger), Column("until", BigInteger))
_by_number = (
    select(*_read_columns)
    .join(
        _windows,
        and_(
            _windows.c.number == calls.c.number,
            calls.c.began_at >= _windows.c.since,
            calls.c.began_at <= _windows.c.until,
        ),
    )
    .where(_is_not_merged)
)
# The status as an expression: by its index SQLite would read the open calls of all numbers.
_by_number_of = {
    Among.ALL: _by_number,
    Among.HISTORY: _by_number.where(calls.c.from_history == true()),
    Among.OPEN: _by_number.where(
        has_state(calls.c.status.concat(""), Status.IN_PROGRESS, Status.ANSWERED),
    ),
}


def get_many(connection: Connection, ids: Collection[str]) -> dict[str, CallRow]:
    """Return the calls with these ids; unknown ids are absent from the result."""
    found = connection.execute(_by_id, bound((id_,) for id_ in sorted(ids)))
    return {row.id: row for row in map(_call_row, found)}


def list_by_number(
    connection: Connection, windows: Collection[NumberWindow], among: Among = Among.ALL
) -> dict[str, CallRow]:
    """Return the calls with these customer numbers that began in these times, by id."""
    if not windows:
        return {}
    found = connection.execute(_by_number_of[among], bound(sorted(set(windows))))
    return {row.id: row for row in map(_call_row, found)}


def _call_row(row: Sequence[Any]) -> CallRow:
    id_, version, began_at, state, record, field_versions, number = row
    return CallRow(
        id_,
        version,
        began_at,
        _decode_state(state),
        decode_record(record),
        _decode_field_versions(field_versions),
        number,
    )


_after = (
    select(calls.c.id)
    .where(calls.c.id > bindparam("after"), _is_not_merged)
    .order_by(calls.c.id)
    .limit(bindparam("limit"))
)
_pruned_ids = select(calls.c.id).where(calls.c.id.in_(select(_ids.c.id)), calls.c.pruned_at.is_not(None))
_set_pruned = update(calls).where(calls.c.id.in_(select(_ids.c.id))).values(pruned_at=bindparam("now"))
_records = select(calls.c.id, calls.c.record).join(_ids, _ids.c.id == calls.c.id)


def list_ids_after(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the next ids in alphabetical order: a page of all calls."""
    return list(connection.execute(_after, {"after": after, "limit": limit}).scalars())


def set_pruned(connection: Connection, ids: Collection[str], *, now: Instant) -> None:
    """State that retention removed events of these calls: they cannot be recomputed."""
    connection.execute(_set_pruned, bound((id_,) for id_ in sorted(ids)) | {"now": now})


def list_pruned_ids(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return the subset of these calls that lost events by retention and cannot be recomputed."""
    return set(connection.execute(_pruned_ids, bound((id_,) for id_ in ids)).scalars())


def get_records(connection: Connection, ids: Collection[str]) -> dict[str, Call]:
    """Return the records of the calls with these ids; unknown ids are absent from the result."""
    found = connection.execute(_records, bound((id_,) for id_ in sorted(ids)))
    return {id_: decode_record(record) for id_, record in found}


_count_began = (
    select(func.count())
    .select_from(calls)
    .where(_is_not_merged, calls.c.began_at >= bindparam("start"), calls.c.began_at < bindparam("end"))
)
_first_began = select(func.min(calls.c.began_at)).where(_is_not_merged)


def count_began(connection: Connection, start: Instant, end: Instant) -> int:
    """Count the calls that began at `start` or later, before `end`. A merged call is part of its survivor."""
    return int(connection.execute(_count_began, {"start": start, "end": end}).scalar_one())


def first_began_at(connection: Connection) -> Instant | None:
    """Return when the oldest call began; None if there is none."""
    first: Instant | None = connection.execute(_first_began).scalar()
    return first


def last_changed_at(connection: Connection) -> Instant | None:
    """Return when the newest event that changed a call arrived; None if there is no call."""
    changed: Instant | None = connection.execute(select(func.max(calls.c.changed_at))).scalar()
    return changed


def count(connection: Connection) -> int:
    """Return the number of calls, without those that were merged into another."""
    number: int = connection.execute(
        select(func.count()).select_from(calls).where(_is_not_merged)
    ).scalar_one()
    return number
