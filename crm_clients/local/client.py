"""The client of the embedded CRM."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from crm_clients.base import (
    Context,
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Outdated,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
    Stored,
)
from crm_clients.batch import merge_by_call
from crm_clients.comparison import IDENTITY_FIELDS
from crm_clients.local.file import CallsFile, Row, add_column_sql, create_table_sql, is_outdated
from crm_clients.local.reading import ComparedCall, read_records
from crm_clients.local.settings import LocalSettings
from crm_clients.settings import STATE
from relay.call import FIELDS, Call
from relay.standards.file_access import explain_denied, explain_uncreatable, is_missing
from relay.standards.private_files import review_database
from relay.standards.sqlite_errors import is_damage
from relay.standards.worker_thread import WorkerThread

T = TypeVar("T")

_ATTRIBUTES: Final = {**dict(zip(FIELDS, Call.__struct_fields__, strict=True)), STATE: "status"}
_SOURCES: Final = {STATE: "status"}
_LONGEST_BUSY_TIMEOUT_SECONDS: Final = 5.0
_CANNOT_OPEN: Final = (
    "check that the folder exists, that it can be written, and that the file is an SQLite database"
)


class LocalClient(CrmClient[LocalSettings]):
    """Writes calls to an SQLite file that other programs can read meanwhile."""

    Settings = LocalSettings
    forget_fields = frozenset()

    def __init__(self, name: str, settings: LocalSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        busy_timeout = min(_LONGEST_BUSY_TIMEOUT_SECONDS, settings.timeout_seconds / 2)
        self._mapping = settings.mapping
        self._attributes = {column: _ATTRIBUTES[field] for field, column in self._mapping.items()}
        conversions = _CONVERSIONS | {"status": settings.label}
        self._conversions = {
            column: conversions[field] for field, column in self._mapping.items() if field in conversions
        }
        self._file = CallsFile(
            settings.path,
            settings.columns,
            added_columns=settings.added_columns,
            busy_timeout_seconds=busy_timeout,
        )
        # One thread and one connection: SQLite allows only one writer at a time.
        self._thread = WorkerThread(f"local-{name}")
        self._closed = False

    async def check(self) -> list[Finding]:
        """Check whether the file can be written and the table has all columns. Creates nothing."""
        finding = await self._run(self._check)
        return [finding, *self._review_files()] if finding.ok else [finding]

    async def setup(self) -> list[str]:
        """Create the file and the table, and add missing columns. Raises `OSError`, which says what to do."""
        try:
            added = await self._run(self._file.add_missing_columns)
        except (sqlite3.Error, OSError) as error:
            path = self.settings.path
            reason = explain_denied(path) or _CANNOT_OPEN
            raise OSError(f"{path} cannot be opened: {error}; {reason}") from error
        return [
            f"the table calls is in {self.settings.path}",
            *(f"added its column {column}" for column in added),
        ]

    def setup_text(self) -> str:
        """Return the SQL that creates the table."""
        return create_table_sql(self.settings.columns) + ";\n"

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write the calls in one transaction."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        rows = [self._build_row(push, now) for push in merge_by_call(pushes).values()]
        try:
            versions = await self._run(lambda: self._file.upsert(rows))
        except (sqlite3.Error, OSError) as error:
            return [_to_outcome(error, calls=len(pushes))] * len(pushes)
        return [_outcome_of(push, versions.get(push.call.id)) for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Mark the rows of merged calls if `on_merge` is "mark"; delete all others."""
        marks = [
            (r.call.merged_into, r.call.version, r.call.id)
            for r in retractions
            if r.call.merged_into and self.settings.on_merge == "mark"
        ]
        marked = {id_ for _, _, id_ in marks}
        deleted = [r.call.id for r in retractions if r.call.id not in marked]
        return await self._write(
            lambda: self._file.mark_and_delete(marks, deleted), [r.call.id for r in retractions]
        )

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Erase the rows. The client keeps no state about customers."""
        ids = [r.call.id for r in retractions]
        return await self._write(lambda: self._file.erase(ids), ids)

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome:
        """Read the rows, and doubles by `call_id` and `call_uuid`. Does not create the file."""
        calls = [self._compared(push) for push in pushes]
        try:
            return await self._run(
                lambda: read_records(self._file.open(), calls) if self._file.exists() else {}
            )
        except (sqlite3.Error, OSError) as error:
            return _to_outcome(error, calls=1)

    async def aclose(self) -> None:
        """Close the file."""
        if not self._closed:
            self._closed = True
            await self._run(self._file.close)
            self._thread.stop()

    async def _write(self, transaction: Callable[[], None], ids: list[str]) -> list[Outcome]:
        """Run a transaction for these calls: it writes all of them or none."""
        try:
            await self._run(transaction)
        except (sqlite3.Error, OSError) as error:
            return [_to_outcome(error, calls=len(ids))] * len(ids)
        return [Delivered(remote_id=id_) for id_ in ids]

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._thread.run(work)

    def _check(self) -> Finding:
        path = self.settings.path
        if is_missing(path):
            return self._check_missing_file(path)
        try:
            missing = self._file.check()
        except (sqlite3.Error, OSError) as error:
            problem = f"{path} cannot be opened: {error}"
            return self._fail("unreachable", problem, explain_denied(path) or _CANNOT_OPEN)
        if missing is None:
            problem = f"the table calls in {path} is missing"
            return self._fail("unknown_table", problem, f"`relay setup {self.name}` creates it")
        if not missing:
            return Finding(name=self.name, ok=True)
        statements = "; ".join(add_column_sql(column, self.settings.columns[column]) for column in missing)
        problem = f"the table calls in {path} lacks {', '.join(missing)}"
        return self._fail(
            "missing_column", problem, f"`relay setup {self.name}` adds them, as does {statements}"
        )

    def _check_missing_file(self, path: Path) -> Finding:
        if (reason := explain_uncreatable(path)) is not None:
            return self._fail("unreachable", f"{path} cannot be created", reason)
        hint = f"the first call creates {path}, as does `relay setup {self.name}`"
        return Finding(name=self.name, ok=True, code="not_created", hint=hint)

    def _fail(self, code: str, problem: str, hint: str) -> Finding:
        return Finding(name=self.name, ok=False, code=code, problem=problem, hint=hint)

    def _review_files(self) -> Iterator[Finding]:
        for warning in review_database(self.settings.path):
            yield Finding(name=self.name, ok=True, **warning)

    def _build_row(self, push: Push, now: str) -> Row:
        """Constants are written once, and people may change them; only a rewrite writes them again."""
        call = push.call
        values = {column: getattr(call, attribute) for column, attribute in self._attributes.items()}
        for column, convert in self._conversions.items():
            values[column] = convert(values[column])
        always = {"version": call.version, "updated_at": now}
        changed = push.changed | ({STATE} if "status" in push.changed else set())
        constants = self.settings.constants if push.rewrite else {}
        return Row(
            call.id,
            call.version,
            {"id": call.id, **values, **self.settings.constants, **always},
            (
                *(column for field, column in self._mapping.items() if field in changed),
                *constants,
                *always,
            ),
            self._mapping.get("cloudtalk_data") if push.partial else None,
            push.delivered_version,
        )

    def _compared(self, push: Push) -> ComparedCall:
        columns = self._build_row(push, now="").columns
        fields = {column: _SOURCES.get(field, field) for field, column in self._mapping.items()}
        compared = {column: field for column, field in fields.items() if field in push.changed}
        identities = {
            column: columns[column]
            for field in IDENTITY_FIELDS
            if push.changed and (column := self._mapping.get(field)) and columns[column]
        }
        return ComparedCall(
            push.call.id, {column: columns[column] for column in compared}, compared, identities
        )


def _outcome_of(push: Push, stored: int | None) -> Outcome:
    """Return the outcome of a push. `stored`: the version of the row before it; None for a new row."""
    if is_outdated(stored, push.delivered_version):
        return Outdated(message=f"the row has version {stored}, and {push.delivered_version} was delivered")
    newer = stored if stored is not None and stored > push.call.version else None
    return Delivered(remote_id=push.call.id, newer_version=newer, existed=push.first and stored is not None)


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    STATE: str,
    "tags": _encode_json,
    "cloudtalk_data": _encode_json,
    "follow_up": int,
}
"""How SQLite stores those values that are no text and no number. `status` has the label of the settings."""


def _to_outcome(error: sqlite3.Error | OSError, *, calls: int) -> Outcome:
    """Return the outcome of each call of a failed transaction with so many calls."""
    message = str(error)
    if isinstance(error, OSError):
        return Retry(code="unreachable", message=message)
    code = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    if isinstance(error, sqlite3.IntegrityError):
        return Rejected(code=code, message=message) if calls == 1 else Split(code=code, message=message)
    if is_damage(error):
        hint = "replace the file by a backup or remove it, then run `relay replay`"
        return Misconfigured(code=code, message=f"the file is damaged: {message}; {hint}")
    if "no such" in message or "has no column" in message:
        return Misconfigured(code=code, message=f"{message}; `relay check` says what to do")
    return Retry(code=code, message=message)
