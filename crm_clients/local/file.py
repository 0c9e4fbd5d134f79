"""The SQLite file. People and other programs may read it, change its rows, or replace it at any time."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from relay.standards.private_files import create_private_file, create_private_folder
from relay.standards.versions import parse_version

FileIdentity = tuple[int, int]
"""Device and inode of a file."""

_SUFFIXES: Final = ("", "-wal")


class Row(msgspec.Struct, frozen=True):
    """One call as a row: the values of all columns, and the names of the columns that changed.

    `merged`: a column with a JSON object that keeps the keys that only the existing row has.
    `delivered_version`: the version that the changes follow.
    """

    id: str
    version: int
    columns: Mapping[str, Any]
    changed: tuple[str, ...]
    merged: str | None = None
    delivered_version: int = 0


def create_table_sql(columns: Mapping[str, str]) -> str:
    """Return the SQL that creates the table; `columns`: name → type.

    `status` has the label, times are text, `follow_up` is 0 or 1, `tags` and `cloudtalkData` are JSON text.
    """
    declarations = (_declaration(column, type_) for column, type_ in columns.items())
    return "CREATE TABLE IF NOT EXISTS calls (\n  " + ",\n  ".join(declarations) + "\n)"


def add_column_sql(column: str, type_: str) -> str:
    """Return the SQL that adds a column."""
    return f"ALTER TABLE calls ADD COLUMN {_declaration(column, type_)}"


class CallsFile:
    """The file, for one thread. The first use opens it. The methods raise `sqlite3.Error` and `OSError`.

    `columns`: name → type. `added_columns`: those that a file of an earlier version of the relay may lack.
    They are added when the file is opened, so that an upgrade stops no delivery. `busy_timeout_seconds`: how
    long to wait for another writer.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        *,
        added_columns: Collection[str] = (),
        busy_timeout_seconds: float,
    ) -> None:
        self._path = path
        self._files = [f"{path}{suffix}" for suffix in _SUFFIXES]
        self._columns = columns
        self._added_columns = added_columns
        self._busy_timeout_seconds = busy_timeout_seconds
        self._connection: sqlite3.Connection | None = None
        self._opened: list[FileIdentity | None] = []

    def open(self) -> sqlite3.Connection:
        """Return a connection to the file that is at the path now."""
        # If a person deleted the file or its WAL, or replaced it by a backup, the old connection would write
        # to a file that nobody reads any more.
        if self._connection is None or self._identify() != self._opened:
            self.close()
            self._connection = _connect(
                self._path, create_table_sql(self._columns), self._busy_timeout_seconds
            )
            self._opened = self._identify()
            for column in self._find_missing(self._connection):
                if column in self._added_columns:
                    self._connection.execute(add_column_sql(column, self._columns[column]))
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            # SQLite would apply the WAL of a file that was renamed to the file that has its place now.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._connection = None

    def _identify(self) -> list[FileIdentity | None]:
        return [_identify(file) for file in self._files]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write to the file that is at the path, before and after the commit. Raises `OSError` if not."""
        connection = self.open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # a trigger in the file may have rolled back already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if self._identify() != self._opened:
            raise FileNotFoundError(f"{self._path} was removed or replaced during the write")

    def exists(self) -> bool:
        """Whether the file exists; `open` would create it."""
        return _identify(self._files[0]) is not None

    def check(self) -> list[str] | None:
        """Return the columns that the table lacks; None if there is no table. Changes and creates nothing.

        Raises `sqlite3.Error` also for a file that is missing or cannot be written.
        """
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        opened = sqlite3.connect(uri, timeout=self._busy_timeout_seconds, isolation_level=None, uri=True)
        with closing(opened) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails if the file cannot be written
            if not _columns_of_table(connection):
                return None
            # `open` adds the others.
            return [name for name in self._find_missing(connection) if name not in self._added_columns]

    def _find_missing(self, connection: sqlite3.Connection) -> list[str]:
        found = _columns_of_table(connection)
        return [column for column in self._columns if column.lower() not in found]

    def add_missing_columns(self) -> list[str]:
        """Add the columns that the table lacks, and return their names."""
        missing = self._find_missing(self.open())
        for column in missing:
            self.open().execute(add_column_sql(column, self._columns[column]))
        return missing

    def upsert(self, rows: Sequence[Row]) -> dict[str, int]:
        """Insert new rows whole, and update the changed columns of existing ones. One transaction.

        A row with a higher version stays as it is, and so does one that lacks changes before these. Return
        the version that each existing row had, by id.
        """
        with self._transaction() as connection:
            versions = _read_versions(connection, [row.id for row in rows])
            _insert(connection, [row for row in rows if row.id not in versions])
            _update(connection, [row for row in rows if _is_next(row, versions.get(row.id))])
        return versions

    def mark_and_delete(self, marks: Sequence[tuple[str | None, int, str]], ids: Sequence[str]) -> None:
        """Mark rows, given as (merged_into, version, id), and delete others. One transaction."""
        with self._transaction() as connection:
            for mark in marks:  # no statement without marks: the table may lack the column
                connection.execute("UPDATE calls SET merged_into = ?, version = ? WHERE id = ?", mark)
            connection.executemany("DELETE FROM calls WHERE id = ?", [(id_,) for id_ in ids])

    def erase(self, ids: Sequence[str]) -> None:
        """Delete rows, also from free pages and the journal. Raises if a reader keeps the journal in use."""
        self.mark_and_delete([], ids)
        (busy, *_) = self.open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError(
                "deleted, but the journal cannot be emptied while a reader uses it"
            )


def is_outdated(stored: int | None, delivered: int) -> bool:
    """Whether a row has an older version than the one that was delivered. 0: a person deleted the version."""
    return stored is not None and 0 < stored < delivered


def _is_next(row: Row, stored: int | None) -> bool:
    """Whether this row may be written over the one with the version `stored`."""
    return stored is not None and stored <= row.version and not is_outdated(stored, row.delivered_version)


def _connect(path: Path, create_table: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    create_private_folder(path.parent)
    create_private_file(path)
    connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(create_table)
    except BaseException:
        connection.close()
        raise
    return connection


def _columns_of_table(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the columns in lower case; none if there is no table."""
    return {row[1].lower() for row in connection.execute("PRAGMA table_info(calls)")}


def _identify(path: str) -> FileIdentity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - several times faster than that of a Path
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _declaration(column: str, type_: str) -> str:
    return f'"{column}" {type_}' + (" PRIMARY KEY" if column == "id" else "")


def _read_versions(connection: sqlite3.Connection, ids: Collection[str]) -> dict[str, int]:
    wanted = msgspec.json.encode(list(ids)).decode()
    query = "SELECT id, version FROM calls WHERE id IN (SELECT value FROM json_each(?))"
    return {id_: parse_version(version) for id_, version in connection.execute(query, (wanted,))}


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert rows of equal columns."""
    if rows:
        sql = _insert_sql(tuple(rows[0].columns))
        connection.executemany(sql, [tuple(row.columns.values()) for row in rows])


def _update(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Update the changed columns: one statement for all rows in which the same ones changed."""
    by_changed = defaultdict[tuple[str, ...], list[tuple[Any, ...]]](list)
    for row in rows:
        new = {**row.columns, **_merge_object(connection, row)}
        by_changed[row.changed].append((*(new[column] for column in row.changed), row.id))
    for changed, values in by_changed.items():
        connection.executemany(_update_sql(changed), values)


# The settings allow no quote in a column's name; values are bound.


@lru_cache
def _insert_sql(columns: tuple[str, ...]) -> str:
    names, values = ", ".join(f'"{column}"' for column in columns), ", ".join("?" for _ in columns)
    return f"INSERT INTO calls ({names}) VALUES ({values})"  # noqa: S608 - see above


@lru_cache
def _update_sql(columns: tuple[str, ...]) -> str:
    assignments = ", ".join(f'"{column}" = ?' for column in columns)
    return f"UPDATE calls SET {assignments} WHERE id = ?"  # noqa: S608 - see above


def _merge_object(connection: sqlite3.Connection, row: Row) -> dict[str, str]:
    """Return the merged column with the keys of the existing row and those of the new one."""
    if row.merged not in row.changed:
        return {}
    select = f'SELECT "{row.merged}" FROM calls WHERE id = ?'  # noqa: S608 - see above
    (existing,) = connection.execute(select, (row.id,)).fetchone()
    new = row.columns[str(row.merged)]
    return {str(row.merged): msgspec.json.encode(_decode_object(existing) | _decode_object(new)).decode()}


def _decode_object(text: Any) -> dict[str, Any]:
    """Decode a JSON object. A person may have written any other text: it has no keys to keep."""
    try:
        return msgspec.json.decode(str(text), type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
