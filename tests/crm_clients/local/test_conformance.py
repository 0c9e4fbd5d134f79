import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from crm_clients.conformance import Capability, ClientConformance, Crm, Fault
from crm_clients.local import LocalClient


class LocalCrm(Crm):
    """The file, opened by a second connection as a person or another program does."""

    Client = LocalClient
    # The client writes by transactions: there are no requests, credentials or networks.
    unsupported = frozenset(
        {Capability.WRITE_TIMES, *Fault} - {Fault.DOWN, Fault.HANGING, Fault.MISCONFIGURED}
    )

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

    def double(self, call_id: str) -> None:
        self._execute(
            "INSERT INTO calls (id, call_id) SELECT 'copy', call_id FROM calls WHERE id = ?", (call_id,)
        )

    def remove(self, call_id: str) -> None:
        self._execute("DELETE FROM calls WHERE id = ?", (call_id,))

    @contextmanager
    def reject(self, call_id: str) -> Iterator[None]:
        guard = f"WHEN NEW.id = '{call_id}' BEGIN SELECT RAISE(ABORT, 'not in my table'); END"
        self.create_table()
        self._execute(f"CREATE TRIGGER guard BEFORE INSERT ON calls {guard}")
        yield
        self._execute("DROP TRIGGER guard")

    def create_table(self) -> None:
        """Create the table, as the first push does."""
        self._execute(self.Client("crm", self.parse_settings(), None).setup_text())  # type: ignore[arg-type]

    @contextmanager
    def inject(self, fault: Fault) -> Iterator[None]:
        self.create_table()
        match fault:
            case Fault.DOWN:
                self.path.replace(self.path.with_name("away.db"))
                self.path.mkdir()
                yield
                self.path.rmdir()
                self.path.with_name("away.db").replace(self.path)
            case Fault.HANGING:
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
