"""A table in memory that behaves as PostgREST 12 with the version guard of `relay setup --print`.

It covers only the requests of the layout `table`. Pure: no I/O.
"""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tests.fakes.faults import Faults, Written

Row = dict[str, Any]

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Refusal(msgspec.Struct, frozen=True):
    """An error response: PostgREST's status, and the code and message of its body."""

    status: int
    code: str
    message: str


class RestTable:
    """The rows and their writes, by id. `written` keeps the writes of deleted rows too."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.written: dict[str, Written] = {}
        self._inserted_last: set[str] = set()

    def upsert(self, rows: list[Row], faults: Faults) -> bool | Refusal:
        """Write all rows or none; return whether any row was inserted."""
        refusal = _refuse_as_postgrest(rows) or _refuse_by_fault(rows, faults)
        if refusal is not None:
            return refusal
        inserted = False
        for row in rows:
            inserted |= self._write(row)
        return inserted

    def _write(self, row: Row) -> bool:
        id_ = row["id"]
        written = self.written.setdefault(id_, Written(time.time()))
        written.writes += 1
        present = self.rows.get(id_)
        if present is None:
            self.rows[id_] = dict(row)
            written.inserts += 1
            self._inserted_last.add(id_)
            return True
        self._inserted_last.discard(id_)
        if row.get("version", present["version"]) < present["version"]:
            written.stale += 1
        else:
            present.update(row)
        return False

    def update(self, ids: Iterable[str], values: Row) -> list[Row]:
        """Write these values to the rows with these ids; return those rows. Unknown ids are ignored."""
        written = [id_ for id_ in ids if id_ in self.rows]
        for id_ in written:
            self._write({"id": id_, **values})
        return [self.rows[id_] for id_ in written]

    def select(self, ids: Iterable[str], columns: Iterable[str]) -> list[Row]:
        """Return these columns of the rows with these ids. `xmax` is 0 if the last write was the insert."""
        names = list(columns)
        return [self._columns(id_, names) for id_ in ids if id_ in self.rows]

    def _columns(self, id_: str, names: list[str]) -> Row:
        row = self.rows[id_] | {"xmax": "0" if id_ in self._inserted_last else "7"}
        return {column: row.get(column) for column in names}

    def delete(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            self.rows.pop(id_, None)


def ids_of(query: Mapping[str, str]) -> list[str]:
    """Return the ids in the filter of a query: `eq.…`, or `in.("…","…")`; none without a filter."""
    condition = query.get("id", "")
    if condition.startswith("eq."):
        return [condition.removeprefix("eq.")]
    return [re.sub(r"\\(.)", r"\1", quoted) for quoted in _QUOTED.findall(condition)]


def _refuse_as_postgrest(rows: list[Row]) -> Refusal | None:
    """Refuse a batch that PostgREST or PostgreSQL always refuses."""
    if any(row.keys() != rows[0].keys() for row in rows):
        return Refusal(400, "PGRST102", "All object keys must match")
    if len({row["id"] for row in rows}) < len(rows):
        return Refusal(400, "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
    return None


def _refuse_by_fault(rows: list[Row], faults: Faults) -> Refusal | None:
    """Refuse a batch with a row that a fault concerns."""
    ids = {row["id"] for row in rows}
    if not ids.isdisjoint(faults.poison):
        return Refusal(500, "XX000", "the server broke over a row")
    if not ids.isdisjoint(faults.bad):
        return Refusal(400, "22P02", 'invalid input syntax for type bigint: "a fault of the tests"')
    column = faults.mandatory
    if column is not None and any(row.get(column) is None for row in rows):
        message = f'null value in column "{column}" of relation "calls" violates not-null constraint'
        return Refusal(400, "23502", message)
    return None
