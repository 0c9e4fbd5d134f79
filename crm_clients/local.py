"""The embedded CRM: one SQLite file with a table `calls`, for trying the relay out and for small teams."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from pydantic import Field

from crm_clients.base import (
    CrmClient,
    Delivered,
    DestinationSettings,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
)
from relay.call import FIELDS

T = TypeVar("T")

_INTEGERS: Final = frozenset(
    {"response_seconds", "duration_seconds", "talking_seconds", "waiting_seconds", "wrapup_seconds"}
    | {"follow_up", "version"}
)
_COLUMN_OF: Final = {"cloudtalk_data": "cloudtalkData"}
_FIELDS: Final = (*FIELDS[: FIELDS.index("follow_up") + 1], "cloudtalk_data", "version")
_COLUMNS: Final = (*(_COLUMN_OF.get(field, field) for field in _FIELDS), "updated_at")
_MARK: Final = "merged_into"
"""A column of its own where `on_merge` marks records that went into others."""


def _declared(column: str) -> str:
    if column == "id":
        return '"id" TEXT PRIMARY KEY'
    return f'"{column}" {"INTEGER" if column in _INTEGERS else "TEXT"}'


def table_of(columns: Sequence[str]) -> str:
    """The table, as SQL: `status` holds the label, times are text, `follow_up` is 0 or 1, `tags` and
    `cloudtalkData` JSON text.
    """
    return "CREATE TABLE IF NOT EXISTS calls (\n  " + ",\n  ".join(map(_declared, columns)) + "\n)"


TABLE: Final = table_of(_COLUMNS)


_Identity = tuple[int, int]
"""Device and inode: which file lies at a path."""


class LocalSettings(DestinationSettings):
    """An SQLite file of calls."""

    path: Path = Field(description="The file; it and its folder are created where they are missing.")


class LocalClient(CrmClient):
    """Writes calls into an SQLite file that anything may read meanwhile."""

    Settings = LocalSettings

    def __init__(self, name: str, settings: DestinationSettings) -> None:
        """Keep the settings; the file is opened when it is first needed."""
        assert isinstance(settings, LocalSettings)  # noqa: S101 - narrows the type; settings.py made it
        self.name = name
        self._settings = settings
        # One thread, one connection: SQLite takes one writer at a time anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"local-{name}")
        self._connection: sqlite3.Connection | None = None
        self._columns = (*_COLUMNS, _MARK) if settings.on_merge == "mark" else _COLUMNS
        self._opened: _Identity | None = None

    async def check(self) -> list[Finding]:
        """Look whether the file can be written and has every column."""
        return [await self._run(self._check)]

    async def setup(self) -> list[str]:
        """Create the file and its table, and the columns that it lacks."""
        added = await self._run(self._add_missing)
        return [
            f"the table calls stands in {self._settings.path}",
            *(f"added its column {column}" for column in added),
        ]

    def setup_text(self) -> str:
        """The table, as SQL."""
        return table_of(self._columns) + ";\n"

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write these calls, in one transaction."""
        return await self._write(lambda: self._upsert(pushes), [push.call.id for push in pushes])

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete these rows, or mark them."""
        return await self._write(lambda: self._retract(retractions), [r.call_id for r in retractions])

    async def _write(self, work: Callable[[], None], calls: list[str]) -> list[Outcome]:
        """What became of these calls, which one transaction writes all or none of."""
        try:
            await self._run(work)
        except sqlite3.Error as error:
            return [_outcome_of(error, alone=len(calls) == 1)] * len(calls)
        except OSError as error:
            return [Retry(code="unreachable", message=str(error))] * len(calls)
        return [Delivered(remote_id=call) for call in calls]

    async def aclose(self) -> None:
        """Close the file."""
        await self._run(self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- on the client's thread -------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        # Whoever deletes the file or puts a backup in its place must not lose what comes afterwards.
        if self._connection is None or _identity(self._settings.path) != self._opened:
            self._close()
            self._connection = _connect(self._settings.path, self._columns)
            self._opened = _identity(self._settings.path)
            if _MARK in self._columns and _MARK in self._missing():
                self._connection.execute(_adding(_MARK))
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _missing(self) -> list[str]:
        found = {row[1] for row in self._open().execute("PRAGMA table_info(calls)")}
        return [column for column in self._columns if column not in found]

    def _add_missing(self) -> list[str]:
        missing = self._missing()
        for column in missing:
            self._open().execute(_adding(column))
        return missing

    def _check(self) -> Finding:
        path = self._settings.path
        try:
            missing = self._missing()
        except (sqlite3.Error, OSError) as error:
            return Finding(
                name=self.name,
                ok=False,
                code="unreachable",
                problem=f"{path} cannot be opened: {error}",
                hint="see that the folder exists, can be written, and that the file is an SQLite database",
            )
        if not missing:
            return Finding(name=self.name, ok=True)
        return Finding(
            name=self.name,
            ok=False,
            code="missing_column",
            problem=f"the table calls in {path} lacks {', '.join(missing)}",
            hint=f"`relay setup {self.name}` adds them, as does " + "; ".join(map(_adding, missing)),
        )

    def _upsert(self, pushes: Sequence[Push]) -> None:
        connection = self._open()
        with _transaction(connection):
            known = self._known(connection, [push.call.id for push in pushes])
            for push in pushes:
                row = self._row(push)
                if push.call.id not in known:
                    _insert(connection, row)
                elif known[push.call.id] <= push.call.version:
                    _update(connection, push, row)

    def _retract(self, retractions: Sequence[Retraction]) -> None:
        if self._settings.on_merge == "delete":
            statement = "DELETE FROM calls WHERE id = :id"
        else:
            statement = "UPDATE calls SET merged_into = :merged_into, version = :version WHERE id = :id"
        connection = self._open()
        with _transaction(connection):
            connection.executemany(
                statement,
                [{"id": r.call_id, "merged_into": r.merged_into, "version": r.version} for r in retractions],
            )

    @staticmethod
    def _known(connection: sqlite3.Connection, ids: list[str]) -> dict[str, int]:
        """The versions that the file has. A call that a person deleted is missing, and comes whole."""
        wanted = msgspec.json.encode(ids).decode()
        # A person may have emptied the version, or a spreadsheet made a text of it.
        query = """
            SELECT id, coalesce(CAST(version AS INTEGER), 0)
            FROM calls WHERE id IN (SELECT value FROM json_each(?))
        """
        return dict(connection.execute(query, (wanted,)))

    def _row(self, push: Push) -> dict[str, Any]:
        values = msgspec.to_builtins(push.call)
        row = {_COLUMN_OF.get(field, field): _stored(values[field]) for field in _FIELDS}
        row["status"] = self._settings.label(push.call.status)
        row["updated_at"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return row


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a trigger of the CRM's own may have ended it
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _connect(path: Path, columns: Sequence[str]) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(table_of(columns))
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


def _adding(column: str) -> str:
    return f"ALTER TABLE calls ADD COLUMN {_declared(column)}"


def _stored(value: Any) -> Any:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return int(value) if isinstance(value, bool) else value


def _insert(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    columns, places = ", ".join(f'"{c}"' for c in row), ", ".join("?" for _ in row)
    # Column names are our own constants; values are bound.
    connection.execute(f"INSERT INTO calls ({columns}) VALUES ({places})", tuple(row.values()))  # noqa: S608


def _update(connection: sqlite3.Connection, push: Push, row: dict[str, Any]) -> None:
    changed = [_COLUMN_OF.get(field, field) for field in sorted(push.changed)]
    columns = [*changed, "version", "updated_at"]
    assignments = ", ".join(f'"{column}" = ?' for column in columns)
    values = (*(row[column] for column in columns), push.call.id)
    connection.execute(f"UPDATE calls SET {assignments} WHERE id = ?", values)  # noqa: S608 - as above


def _outcome_of(error: sqlite3.Error, *, alone: bool) -> Outcome:
    """A file's errors in the taxonomy of every CRM."""
    code, message = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR", str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return Rejected(code=code, message=message) if alone else Split(code=code, message=message)
    if "no such" in message or "has no column" in message:
        return Misconfigured(code=code, message=f"{message}; `relay check` says what to do")
    return Retry(code=code, message=message)
