"""A table as PostgREST serves it and as our SQL guards it: rows by id, and how often each was written.

It answers as version 12 does, in the little that the layout `table` asks for. Pure: no I/O.
"""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tests.fakes.faults import Faults, Written

Row = dict[str, Any]

_LIST: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Refusal(msgspec.Struct, frozen=True):
    """An answer other than success: PostgREST's status, and the code and message of its body."""

    status: int
    code: str
    message: str


class RestTable:
    """The rows, and how each was written, by id; that outlives a row that is deleted."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.written: dict[str, Written] = {}
        self._inserted_last: set[str] = set()

    def upsert(self, given: list[Row], faults: Faults) -> bool | Refusal:
        """One statement, all or none; whether it inserted any row."""
        refusal = _spoiled(given) or _refused(given, faults)
        if refusal is not None:
            return refusal
        inserted = False
        for row in given:
            inserted |= self._write(row)
        return inserted

    def _write(self, row: Row) -> bool:
        id_ = row["id"]
        written = self.written.setdefault(id_, Written(time.time()))
        written.writes += 1
        there = self.rows.get(id_)
        if there is None:
            self.rows[id_] = dict(row)
            written.inserts += 1
            self._inserted_last.add(id_)
            return True
        self._inserted_last.discard(id_)
        if row.get("version", there["version"]) < there["version"]:
            written.stale += 1
        else:
            there.update(row)
        return False

    def update(self, ids: Iterable[str], values: Row) -> list[Row]:
        """The rows with these ids, written."""
        written = [id_ for id_ in ids if id_ in self.rows]
        for id_ in written:
            self._write({"id": id_, **values})
        return [self.rows[id_] for id_ in written]

    def select(self, ids: Iterable[str], columns: Iterable[str]) -> list[Row]:
        """These columns of the rows with these ids. `xmax` is 0 where the last write was the insert."""
        wanted = list(columns)
        return [self._columns(id_, wanted) for id_ in ids if id_ in self.rows]

    def _columns(self, id_: str, wanted: list[str]) -> Row:
        row = self.rows[id_] | {"xmax": "0" if id_ in self._inserted_last else "7"}
        return {column: row.get(column) for column in wanted}

    def delete(self, ids: Iterable[str]) -> None:
        """Rows with these ids are there no more."""
        for id_ in ids:
            self.rows.pop(id_, None)


def ids_of(query: Mapping[str, str]) -> list[str]:
    """The ids that a filter names: `eq.…`, or `in.("…","…")`; without one, none."""
    said = query.get("id", "")
    if said.startswith("eq."):
        return [said.removeprefix("eq.")]
    return [re.sub(r"\\(.)", r"\1", quoted) for quoted in _LIST.findall(said)]


def _spoiled(given: list[Row]) -> Refusal | None:
    """What PostgREST and PostgreSQL refuse of any batch."""
    if any(row.keys() != given[0].keys() for row in given):
        return Refusal(400, "PGRST102", "All object keys must match")
    if len({row["id"] for row in given}) < len(given):
        return Refusal(400, "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
    return None


def _refused(given: list[Row], faults: Faults) -> Refusal | None:
    """What the faults make of a batch. One bad row spoils it for all."""
    ids = {row["id"] for row in given}
    if not ids.isdisjoint(faults.poison):
        return Refusal(500, "XX000", "the server broke over a row")
    if not ids.isdisjoint(faults.bad):
        return Refusal(400, "22P02", 'invalid input syntax for type bigint: "a fault of the tests"')
    column = faults.mandatory
    if column is not None and any(row.get(column) is None for row in given):
        message = f'null value in column "{column}" of relation "calls" violates not-null constraint'
        return Refusal(400, "23502", message)
    return None
