"""The client of the embedded CRM."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from crm_clients.base import (
    Context,
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
)
from crm_clients.batch import merge_by_call
from crm_clients.local.file import CallsFile, Row, adding, table_of
from crm_clients.local.settings import LocalSettings
from crm_clients.settings import STATE

T = TypeVar("T")

_LONGEST_PATIENCE_SECONDS: Final = 5.0


class LocalClient(CrmClient[LocalSettings]):
    """Writes calls into an SQLite file that anything may read meanwhile."""

    Settings = LocalSettings

    def __init__(self, name: str, settings: LocalSettings, context: Context) -> None:
        """Keep the settings; the file is opened when it is first needed."""
        super().__init__(name, settings, context)
        patience = min(_LONGEST_PATIENCE_SECONDS, settings.timeout_seconds / 2)
        self._file = CallsFile(settings.path, settings.columns, patience_seconds=patience)
        # One thread, one connection: SQLite takes one writer at a time anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"local-{name}")
        self._closed = False

    async def check(self) -> list[Finding]:
        """Look whether the file can be written and has every column."""
        return [await self._run(self._check)]

    async def setup(self) -> list[str]:
        """Create the file and its table, and the columns that it lacks."""
        added = await self._run(self._file.add_missing)
        return [
            f"the table calls stands in {self.settings.path}",
            *(f"added its column {column}" for column in added),
        ]

    def setup_text(self) -> str:
        """The table, as SQL."""
        return table_of(self.settings.columns) + ";\n"

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write these calls, in one transaction."""
        rows = [self._row(push) for push in merge_by_call(pushes).values()]
        return await self._write(lambda: self._file.write(rows), [push.call.id for push in pushes])

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete these rows, or mark those that went into others."""
        marks = [
            (r.call.merged_into, r.call.version, r.call.id)
            for r in retractions
            if r.call.merged_into and self.settings.on_merge == "mark"
        ]
        marked = {id_ for _, _, id_ in marks}
        gone = [r.call.id for r in retractions if r.call.id not in marked]
        return await self._write(
            lambda: self._file.mark_and_delete(marks, gone), [r.call.id for r in retractions]
        )

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Erase these rows: the client remembers nothing else of a customer."""
        calls = [r.call.id for r in retractions]
        return await self._write(lambda: self._file.erase(calls), calls)

    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        """The calls of which the file has no row."""
        calls = {push.call.id for push in pushes}
        try:
            return calls - await self._run(lambda: self._known(calls))
        except (sqlite3.Error, OSError) as error:
            return _outcome_of(error, alone=True)

    async def aclose(self) -> None:
        """Close the file."""
        if not self._closed:
            self._closed = True
            await self._run(self._file.close)
            self._thread.shutdown()

    async def _write(self, work: Callable[[], None], calls: list[str]) -> list[Outcome]:
        """What became of these calls, which one transaction writes all or none of."""
        try:
            await self._run(work)
        except (sqlite3.Error, OSError) as error:
            return [_outcome_of(error, alone=len(calls) == 1)] * len(calls)
        return [Delivered(remote_id=call) for call in calls]

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _known(self, calls: Collection[str]) -> set[str]:
        return set(self._file.versions(calls)) if self._file.exists() else set()

    def _check(self) -> Finding:
        path = self.settings.path
        try:
            missing = self._file.missing()
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
        statements = "; ".join(adding(column, self.settings.columns[column]) for column in missing)
        return Finding(
            name=self.name,
            ok=False,
            code="missing_column",
            problem=f"the table calls in {path} lacks {', '.join(missing)}",
            hint=f"`relay setup {self.name}` adds them, as does {statements}",
        )

    def _row(self, push: Push) -> Row:
        """`status` is the label that people read, `state` the word for programs. Constants are written
        once: what a person makes of them later is theirs.
        """
        call, mapping = push.call, self.settings.mapping
        said = msgspec.to_builtins(call) | {
            "status": self.settings.label(call.status),
            STATE: call.status.value,
        }
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = {theirs: _stored(said[ours]) for ours, theirs in mapping.items()}
        always = {"version": call.version, "updated_at": now}
        changed = push.changed | ({STATE} if "status" in push.changed else set())
        return Row(
            call.id,
            call.version,
            {"id": call.id} | values | self.settings.constants | always,
            [*(mapping[field] for field in sorted(changed) if field in mapping), *always],
        )


def _stored(value: Any) -> Any:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return int(value) if isinstance(value, bool) else value


def _outcome_of(error: sqlite3.Error | OSError, *, alone: bool) -> Outcome:
    """A file's errors in the taxonomy of every CRM."""
    message = str(error)
    if isinstance(error, OSError):
        return Retry(code="unreachable", message=message)
    code = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    if isinstance(error, sqlite3.IntegrityError):
        return Rejected(code=code, message=message) if alone else Split(code=code, message=message)
    if "no such" in message or "has no column" in message:
        return Misconfigured(code=code, message=f"{message}; `relay check` says what to do")
    return Retry(code=code, message=message)
