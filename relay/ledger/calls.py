"""The joined record of each call."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select, update

from relay.call import Call, CallState
from relay.instants import Instant
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import calls

_encoder = msgspec.json.Encoder()
_states = msgspec.json.Decoder(CallState)
_records = msgspec.json.Decoder(Call)
_field_versions = msgspec.json.Decoder(dict[str, int])


class CallRow(msgspec.Struct, frozen=True):
    """A call as the ledger keeps it. `field_versions`: the version in which each field changed last;
    `number`: the customer's, where it is one that could be nobody else's.
    """

    id: str
    version: int
    began_at: Instant
    state: CallState
    record: Call
    field_versions: dict[str, int]
    number: str | None = None


_columns = (
    calls.c.id,
    calls.c.version,
    calls.c.began_at,
    calls.c.state,
    calls.c.record,
    calls.c.field_versions,
    calls.c.number,
    calls.c.merged_into,
)
_read_columns = _columns[:-1]
_LIVING = calls.c.merged_into.is_(None)
_given = rows_of(*_columns)
_insert = insert(calls).from_select([c.name for c in _columns], select(_given))
_update = (
    update(calls)
    .where(calls.c.id == _given.c.id)
    .values({c.name: _given.c[c.name] for c in _columns if c is not calls.c.id})
)
_wanted = rows_of(calls.c.id)
_by_id = select(*_read_columns).join(_wanted, _wanted.c.id == calls.c.id)


def get_many(connection: Connection, ids: Collection[str]) -> dict[str, CallRow]:
    """Those of these calls that there are."""
    found = connection.execute(_by_id, bound((i,) for i in sorted(ids)))
    return {row.id: row for row in map(_call_row, found)}


def _call_row(row: Sequence[Any]) -> CallRow:
    id_, version, began_at, state, record, field_versions, number = row
    return CallRow(
        id_,
        version,
        began_at,
        _states.decode(state),
        _records.decode(record),
        _field_versions.decode(field_versions),
        number,
    )


_wanted_numbers = rows_of(calls.c.number)
_by_number = (
    select(*_read_columns)
    .join(_wanted_numbers, _wanted_numbers.c.number == calls.c.number)
    .where(calls.c.began_at >= bindparam("since"), _LIVING)
)


def list_by_number(connection: Connection, numbers: Collection[str], *, since: int) -> dict[str, CallRow]:
    """The calls with these customers since then."""
    given = bound((number,) for number in sorted(numbers)) | {"since": since}
    return {row.id: row for row in map(_call_row, connection.execute(_by_number, given))}


class CallPruned(Exception):
    """A call was dropped for its age since it was read: what it came to is to be computed anew."""


def write(connection: Connection, new: Sequence[CallRow], known: Sequence[CallRow]) -> None:
    """Insert `new` calls and update `known` ones. Raises `CallPruned` if a known call is gone."""
    for statement, rows in ((_insert, new), (_update, known)):
        if rows:
            given = bound(_values(row) for row in sorted(rows, key=lambda r: r.id))
            written = connection.execute(statement, given).rowcount
            if statement is _update and written < len(rows):
                raise CallPruned


def _values(row: CallRow) -> tuple[Any, ...]:
    state, record, changed = (
        _encoder.encode(part).decode() for part in (row.state, row.record, row.field_versions)
    )
    merged_into = row.record.merged_into
    return row.id, row.version, row.began_at, state, record, changed, row.number, merged_into


_after = (
    select(calls.c.id)
    .where(calls.c.id > bindparam("after"), _LIVING)
    .order_by(calls.c.id)
    .limit(bindparam("limit"))
)


def list_ids_after(connection: Connection, after: str, limit: int) -> list[str]:
    """The next calls in the order of their ids: for going through all of them in portions."""
    return list(connection.execute(_after, {"after": after, "limit": limit}).scalars())


_pruned_ids = select(calls.c.id).where(
    calls.c.id.in_(select(rows_of(calls.c.id).c.id)), calls.c.pruned_at.is_not(None)
)


def list_pruned_ids(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of these calls of whose events some were dropped for their age."""
    return set(connection.execute(_pruned_ids, bound((call,) for call in ids)).scalars())


_newest = (
    select(calls.c.record)
    .where(_LIVING)
    .order_by(calls.c.began_at.desc(), calls.c.id)
    .limit(bindparam("limit"))
)


def list_newest(connection: Connection, limit: int) -> list[Call]:
    """The calls that began last."""
    return [_records.decode(record) for record in connection.execute(_newest, {"limit": limit}).scalars()]


def count(connection: Connection) -> int:
    """How many calls there are."""
    return connection.execute(select(func.count()).select_from(calls).where(_LIVING)).scalar_one()
