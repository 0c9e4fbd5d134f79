"""The ids by which CloudTalk names a call, and the call that each belongs to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Column, Text, insert, select, update

from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import aliases


class AliasReason(StrEnum):
    """Why an alias belongs to its call."""

    STATED = "stated"
    """An event named it, and every id of that event belongs to the call."""
    CHOSEN = "chosen"
    """An event named it beside ids that contradict it and were dropped."""
    NUMBER_AND_TIME = "number_and_time"
    """No id links the event that named it to the call, but its number and its time do."""
    LEG = "leg"
    """CloudTalk's history states that the event that named it is about another leg of the call."""
    SPLIT = "split"
    """An operator decided it: the alias is pinned, and no event links it to another call."""


LEG_OF: Final = "leg_of:"
"""Before the call_id of a call in the alias of a call that was transferred or redirected from it. It is a
reference and no id: no event has it among its aliases.
"""


class Alias(msgspec.Struct, frozen=True):
    """An alias with its namespace (`uuid:`, `id:` or `other:`), and the record's id of its call."""

    alias: str
    call: str
    reason: AliasReason


_columns = (aliases.c.alias, aliases.c.call, aliases.c.reason)
_new = rows_of(*_columns)
_add = insert(aliases).from_select([column.name for column in _columns], select(_new))
_ids = rows_of(aliases.c.alias)
_by_alias = select(*_columns).join(_ids, _ids.c.alias == aliases.c.alias)
_merged = rows_of(Column("old", Text), Column("new", Text))
_reassign = update(aliases).where(aliases.c.call == _merged.c.old).values(call=_merged.c.new)


def add(connection: Connection, new: Sequence[Alias]) -> None:
    """Insert aliases. Raises `IntegrityError` if one belongs to a call already."""
    if new:
        connection.execute(_add, bound(msgspec.structs.astuple(alias) for alias in new))


def get_many(connection: Connection, ids: Collection[str]) -> list[Alias]:
    """Return these aliases; unknown ones are absent from the result."""
    found = connection.execute(_by_alias, bound((alias,) for alias in sorted(ids)))
    return [Alias(alias, call, AliasReason(reason)) for alias, call, reason in found]


_calls = rows_of(aliases.c.call)
_of_calls = select(aliases.c.alias).join(_calls, _calls.c.call == aliases.c.call).order_by(aliases.c.alias)


def list_for_calls(connection: Connection, calls: Iterable[str]) -> list[str]:
    """Return the aliases of these calls."""
    return connection.execute(_of_calls, bound((call,) for call in sorted(calls))).scalars()


def reassign_merged(connection: Connection, merged: Mapping[str, str]) -> None:
    """Move all aliases of merged calls (merged call → surviving call)."""
    connection.execute(_reassign, bound(merged.items()))


def pin(connection: Connection, alias: str, call: str) -> None:
    """Assign the alias to this call for good."""
    statement = update(aliases).where(aliases.c.alias == alias)
    connection.execute(statement.values(call=call, reason=AliasReason.SPLIT))
