"""An SQLite file with a table `calls`, which people and other programs may read, change and replace."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from crm_clients.local.settings import MARK

_Identity = tuple[int, int]
"""Device and inode: which file lies at a path."""


class Row(msgspec.Struct, frozen=True):
    """One call as the table takes it: all of its columns, and those that changed."""

    id: str
    version: int
    columns: Mapping[str, Any]
    changed: Collection[str]


def table_of(columns: Mapping[str, str]) -> str:
    """The table, as SQL: `status` holds the label, times are text, `follow_up` is 0 or 1, `tags` and
    `cloudtalkData` JSON text.
    """
    declared = (_declared(column, kind) for column, kind in columns.items())
    return "CREATE TABLE IF NOT EXISTS calls (\n  " + ",\n  ".join(declared) + "\n)"


def adding(column: str, kind: str) -> str:
    """What adds a column, as SQL."""
    return f"ALTER TABLE calls ADD COLUMN {_declared(column, kind)}"


class CallsFile:
    """The file, for one thread. Opened when it is first needed. Raises `sqlite3.Error` and `OSError`.

    `columns`: the name and type of each. `patience_seconds`: how long another writer is waited for.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], *, patience_seconds: float) -> None:
        self._path = path
        self._columns = columns
        self._patience = patience_seconds
        self._connection: sqlite3.Connection | None = None
        self._opened: _Identity | None = None

    def open(self) -> sqlite3.Connection:
        """The connection to the file that lies there now, made anew if it is another one."""
        # Whoever deletes the file or puts a backup in its place must not lose what comes afterwards.
        if self._connection is None or _identity(self._path) != self._opened:
            self.close()
            self._connection = _connect(self._path, table_of(self._columns), self._patience)
            self._opened = _identity(self._path)
            if MARK in self.missing():
                self._connection.execute(adding(MARK, self._columns[MARK]))
        return self._connection

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def missing(self) -> list[str]:
        """The columns that the table lacks."""
        found = {row[1].lower() for row in self.open().execute("PRAGMA table_info(calls)")}
        return [column for column in self._columns if column.lower() not in found]

    def add_missing(self) -> list[str]:
        """Add the columns that the table lacks, and name them."""
        missing = self.missing()
        for column in missing:
            self.open().execute(adding(column, self._columns[column]))
        return missing

    def write(self, rows: Sequence[Row]) -> None:
        """Insert what is not there, whole, and change the rest; all of it or nothing."""
        with _transaction(self.open()) as connection:
            versions = self.versions([row.id for row in rows])
            for row in rows:
                if row.id not in versions:
                    _insert(connection, row)
                elif versions[row.id] <= row.version:
                    _update(connection, row)

    def versions(self, ids: Collection[str]) -> dict[str, int]:
        """The versions that the file has of these. A call that a person deleted is not among them."""
        wanted = msgspec.json.encode(list(ids)).decode()
        # A person may have emptied the version, or a spreadsheet made a text of it.
        query = """
            SELECT id, coalesce(CAST(version AS INTEGER), 0)
            FROM calls WHERE id IN (SELECT value FROM json_each(?))
        """
        return dict(self.open().execute(query, (wanted,)))

    def exists(self) -> bool:
        """Whether there is a file at all: opening makes one."""
        return _identity(self._path) is not None

    def mark_and_delete(self, marks: Sequence[tuple[str | None, int, str]], ids: Sequence[str]) -> None:
        """Mark some rows with another's id and a version, delete others; all of it or nothing."""
        with _transaction(self.open()) as connection:
            for mark in marks:  # without any, the table may have no such column
                connection.execute("UPDATE calls SET merged_into = ?, version = ? WHERE id = ?", mark)
            connection.executemany("DELETE FROM calls WHERE id = ?", [(id_,) for id_ in ids])

    def delete(self, ids: Sequence[str]) -> None:
        """Delete these rows; all of them or none."""
        self.mark_and_delete([], ids)

    def erase(self, ids: Sequence[str]) -> None:
        """Delete these rows and what the file keeps of them besides, in free pages and the journal."""
        self.delete(ids)
        (busy, *_) = self.open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("deleted, but a reader keeps the journal from being emptied")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:  # a trigger of the CRM's own may have ended it
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _connect(path: Path, table: str, patience_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=patience_seconds, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(table)
    except BaseException:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _declared(column: str, kind: str) -> str:
    return f'"{column}" {kind}' + (" PRIMARY KEY" if column == "id" else "")


def _insert(connection: sqlite3.Connection, row: Row) -> None:
    columns, places = ", ".join(f'"{c}"' for c in row.columns), ", ".join("?" for _ in row.columns)
    # The settings let no quote into a column's name; values are bound.
    connection.execute(f"INSERT INTO calls ({columns}) VALUES ({places})", tuple(row.columns.values()))  # noqa: S608


def _update(connection: sqlite3.Connection, row: Row) -> None:
    assignments = ", ".join(f'"{column}" = ?' for column in row.changed)
    values = (*(row.columns[column] for column in row.changed), row.id)
    connection.execute(f"UPDATE calls SET {assignments} WHERE id = ?", values)  # noqa: S608 - as above
