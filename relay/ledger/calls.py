"""The joined record of each call, and which ids are its own."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Text, bindparam, func, insert, select, update

from relay.call import Call, CallState
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import aliases, calls

_encoder = msgspec.json.Encoder()
_states = msgspec.json.Decoder(CallState)
_records = msgspec.json.Decoder(Call)
_changes = msgspec.json.Decoder(dict[str, int])


SPLIT: Final = "split"
"""Why an alias belongs to its call: a person said so, and no event changes it."""


class CallRow(msgspec.Struct, frozen=True):
    """A call as the ledger keeps it. `changed`: the version in which each field changed last;
    `number`: the customer's, where it is one that could be nobody else's.
    """

    id: str
    version: int
    began_at: int
    state: CallState
    record: Call
    changed: dict[str, int]
    number: str | None = None


class Alias(msgspec.Struct, frozen=True):
    """An id of CloudTalk's and the call that it belongs to."""

    alias: str
    call: str
    reason: str


_columns = (
    calls.c.id,
    calls.c.version,
    calls.c.began_at,
    calls.c.state,
    calls.c.record,
    calls.c.changed,
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


def by_id(connection: Connection, ids: Collection[str]) -> dict[str, CallRow]:
    """Those of these calls that there are."""
    found = connection.execute(_by_id, bound((i,) for i in sorted(ids)))
    return {row.id: row for row in map(_call_row, found)}


def _call_row(row: Sequence[Any]) -> CallRow:
    id_, version, began_at, state, record, changed, number = row
    return CallRow(
        id_,
        version,
        began_at,
        _states.decode(state),
        _records.decode(record),
        _changes.decode(changed),
        number,
    )


_wanted_numbers = rows_of(calls.c.number)
_by_number = (
    select(*_read_columns)
    .join(_wanted_numbers, _wanted_numbers.c.number == calls.c.number)
    .where(calls.c.began_at >= bindparam("since"), _LIVING)
)


def by_number(connection: Connection, numbers: Collection[str], *, since: int) -> dict[str, CallRow]:
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
    state, record, changed = (_encoder.encode(part).decode() for part in (row.state, row.record, row.changed))
    merged_into = row.record.merged_into
    return row.id, row.version, row.began_at, state, record, changed, row.number, merged_into


_alias_columns = (aliases.c.alias, aliases.c.call, aliases.c.reason)
_given_aliases = rows_of(*_alias_columns)
_insert_aliases = insert(aliases).from_select([c.name for c in _alias_columns], select(_given_aliases))
_wanted_aliases = rows_of(aliases.c.alias)
_by_alias = select(aliases.c.alias, aliases.c.call).join(
    _wanted_aliases, _wanted_aliases.c.alias == aliases.c.alias
)


def by_alias(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """The calls that these ids belong to, by id; unknown ids are left out."""
    found = connection.execute(_by_alias, bound((alias,) for alias in sorted(wanted)))
    return dict(found.all())


def write_aliases(connection: Connection, new: Sequence[Alias]) -> None:
    """Keep whose these ids are."""
    if new:
        connection.execute(_insert_aliases, bound(msgspec.structs.astuple(alias) for alias in new))


_pinned = (
    select(aliases.c.alias)
    .join(_wanted_aliases, _wanted_aliases.c.alias == aliases.c.alias)
    .where(aliases.c.reason == SPLIT)
)


def pinned(connection: Connection, wanted: Collection[str]) -> frozenset[str]:
    """Those of these aliases that a person split off."""
    found = connection.execute(_pinned, bound((alias,) for alias in sorted(wanted)))
    return frozenset(found.scalars())


_moved = rows_of(Column("old", Text), Column("new", Text))
_repoint = update(aliases).where(aliases.c.call == _moved.c.old).values(call=_moved.c.new)


def repoint(connection: Connection, merged: Mapping[str, str]) -> None:
    """The aliases of these calls belong to other ones now."""
    connection.execute(_repoint, bound(merged.items()))


def pin(connection: Connection, alias: str, call: str) -> None:
    """A person says whose this alias is: no event links it to another call."""
    statement = update(aliases).where(aliases.c.alias == alias)
    connection.execute(statement.values(call=call, reason=SPLIT))


_after = (
    select(calls.c.id)
    .where(calls.c.id > bindparam("after"), _LIVING)
    .order_by(calls.c.id)
    .limit(bindparam("most"))
)


def ids_after(connection: Connection, after: str, most: int) -> list[str]:
    """The next calls in the order of their ids: for going through all of them in portions."""
    return list(connection.execute(_after, {"after": after, "most": most}).scalars())


_without_events = select(calls.c.id).where(
    calls.c.id.in_(select(rows_of(calls.c.id).c.id)), calls.c.pruned_at.is_not(None)
)


def without_events(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of these calls of whose events some were dropped for their age."""
    return set(connection.execute(_without_events, bound((call,) for call in ids)).scalars())


_newest = (
    select(calls.c.record)
    .where(_LIVING)
    .order_by(calls.c.began_at.desc(), calls.c.id)
    .limit(bindparam("most"))
)


def newest(connection: Connection, most: int) -> list[Call]:
    """The calls that began last."""
    return [_records.decode(record) for record in connection.execute(_newest, {"most": most}).scalars()]


def count(connection: Connection) -> int:
    """How many calls there are."""
    return connection.execute(select(func.count()).select_from(calls).where(_LIVING)).scalar_one()
