"""The embedded CRM owes what every client owes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from crm_clients.conformance import Ability, ClientConformance, Crm, Fault
from crm_clients.local import LocalClient


class LocalCrm(Crm):
    """A file that people and other programs open too."""

    Client = LocalClient
    # What it has instead of requests are transactions, which no credentials open and no network breaks.
    lacks = frozenset({Ability.COUNTING, *Fault} - {Fault.DOWN, Fault.SLOW, Fault.MISCONFIGURED})

    def __init__(self, folder: Path) -> None:
        self.path = folder / "crm.db"

    def settings(self) -> dict[str, Any]:
        return {"path": self.path}

    def records(self, call_id: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(self.path)) as file:
            file.row_factory = sqlite3.Row
            return [dict(row) for row in file.execute("SELECT * FROM calls WHERE id = ?", (call_id,))]

    def edit(self, call_id: str, field: str, text: str) -> None:
        self._execute(f"UPDATE calls SET {field} = ? WHERE id = ?", (text, call_id))  # noqa: S608 - the kit's own

    def remove(self, call_id: str) -> None:
        self._execute("DELETE FROM calls WHERE id = ?", (call_id,))

    @contextmanager
    def refusing(self, call_id: str) -> Iterator[None]:
        guard = f"WHEN NEW.id = '{call_id}' BEGIN SELECT RAISE(ABORT, 'not in my table'); END"
        self.client_table()
        self._execute(f"CREATE TRIGGER guard BEFORE INSERT ON calls {guard}")
        yield
        self._execute("DROP TRIGGER guard")

    def client_table(self) -> None:
        """Make the table, as the first push does."""
        self._execute(self.Client("crm", self.client_settings(), None).setup_text())  # type: ignore[arg-type]

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.client_table()
        match fault:
            case Fault.DOWN:
                self.path.replace(self.path.with_name("away.db"))
                self.path.mkdir()
                yield
                self.path.rmdir()
                self.path.with_name("away.db").replace(self.path)
            case Fault.SLOW:
                with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    yield
                    other.execute("ROLLBACK")
            case Fault.MISCONFIGURED:
                self._execute("ALTER TABLE calls DROP COLUMN summary")
                yield
                self._execute("ALTER TABLE calls ADD COLUMN summary TEXT")

    def _execute(self, sql: str, values: tuple[str, ...] = ()) -> None:
        with closing(sqlite3.connect(self.path)) as file, file:
            file.execute(sql, values)


class TestLocal(ClientConformance):
    @pytest.fixture
    def crm(self, tmp_path: Path) -> LocalCrm:
        return LocalCrm(tmp_path)
