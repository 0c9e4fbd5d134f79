"""Read rows of the embedded CRM and compare them with what the client would write."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from crm_clients.base import Stored
from crm_clients.comparison import is_same
from crm_clients.local.settings import MERGED_INTO
from relay.standards.versions import parse_version

_Row = Mapping[str, Any]
"""A row: column → value."""


class ComparedCall(msgspec.Struct, frozen=True):
    """A call whose row is read. `values`: column → value that the client would write; `fields`: the canonical
    name of the field in each of these columns. `identities`: column → value that identifies the call besides
    its id; a value that is not known is absent.
    """

    id: str
    values: Mapping[str, Any]
    fields: Mapping[str, str]
    identities: Mapping[str, str]


def read_records(
    connection: sqlite3.Connection, calls: Sequence[ComparedCall]
) -> dict[str, Sequence[Stored]]:
    """Return the row of each call and its doubles, by call id. Calls without a row are absent."""
    columns = {"id", "version"}.union(*(call.values for call in calls))
    rows = {row["id"]: row for row in _select(connection, columns, "id", {call.id for call in calls})}
    found = [call for call in calls if call.id in rows]
    doubles = _find_doubles(connection, found, {call.id for call in calls})
    return {call.id: [_compare(call, rows[call.id]), *doubles[call.id]] for call in found}


def _compare(call: ComparedCall, row: _Row) -> Stored:
    different = {call.fields[c] for c, written in call.values.items() if not is_same(written, row[c])}
    return Stored(call.id, parse_version(row["version"]), frozenset(different))


def _find_doubles(
    connection: sqlite3.Connection, calls: Iterable[ComparedCall], known: Collection[str]
) -> dict[str, list[Stored]]:
    """Return rows with another id and an identity of a call, by its id. Marked rows are no doubles."""
    by_identity = defaultdict[str, dict[str, str]](dict)
    for call in calls:
        for column, value in call.identities.items():
            by_identity[column][value] = call.id
    doubles = defaultdict[str, dict[str, Stored]](dict)
    for column, owners in by_identity.items():
        for row in _select_unmerged(connection, column, owners):
            if row["id"] not in known:
                stored = Stored(row["id"], parse_version(row["version"]))
                doubles[owners[str(row[column])]][str(row["id"])] = stored
    return defaultdict(list, {id_: list(found.values()) for id_, found in doubles.items()})


def _select_unmerged(connection: sqlite3.Connection, column: str, values: Collection[str]) -> Iterator[_Row]:
    """A file without marks has no column for them."""
    names = {row[1].lower() for row in connection.execute("PRAGMA table_info(calls)")}
    marks = {MERGED_INTO} & names
    for row in _select(connection, {"id", "version", column} | marks, column, values):
        if row.get(MERGED_INTO) is None:
            yield row


def _select(
    connection: sqlite3.Connection, columns: Collection[str], key: str, values: Collection[str]
) -> Iterator[_Row]:
    """Return these columns of the rows whose `key` is one of the values."""
    ordered = sorted(columns)
    # The settings allow no quote in a column's name; values are bound. Without the table's name SQLite would
    # read the quoted name of a missing column as a text.
    names = ", ".join(f'calls."{column}"' for column in ordered)
    sql = f'SELECT {names} FROM calls WHERE calls."{key}" IN (SELECT value FROM json_each(?))'  # noqa: S608
    wanted = msgspec.json.encode(list(values)).decode()
    return (dict(zip(ordered, row, strict=True)) for row in connection.execute(sql, (wanted,)))
