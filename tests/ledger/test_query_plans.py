"""SQLite answers from its indexes: no statement of the hot way reads a table whole."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Executable

from relay.ledger import Ledger, calls, deliveries, journal
from relay.ledger.rows import bound

ROWS = bound([])
OF = {"destination": "crm", "now": 1, "most": 1}

PLANS: dict[str, tuple[Executable, dict[str, Any], str]] = {
    "journal._unfolded": (journal._unfolded, {"most": 1}, "SCAN events USING INDEX events_new"),
    "journal._of_call": (journal._of_call, {"call": "x"}, "SEARCH events USING INDEX events_call (call=?)"),
    "journal._mark_folded": (journal._mark_folded, ROWS, "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)"),
    "calls._by_id": (calls._by_id, ROWS, "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)"),
    "calls._update": (calls._update, ROWS, "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)"),
    "calls._by_alias": (calls._by_alias, ROWS, "SEARCH aliases USING PRIMARY KEY (alias=?)"),
    "calls._newest": (calls._newest, {"most": 1}, "SCAN calls USING INDEX calls_began"),
    "deliveries._due": (
        deliveries._due,
        ROWS | OF,
        "SEARCH deliveries USING INDEX deliveries_due (destination=? AND due_at<?)",
    ),
    "deliveries._next_due": (
        deliveries._next_due,
        OF,
        "SEARCH deliveries USING INDEX deliveries_due (destination=?)",
    ),
    "deliveries._mark_known": (
        deliveries._mark_known,
        ROWS | OF,
        "SEARCH deliveries USING INDEX deliveries_call (call=?)",
    ),
    "deliveries._mark_new": (
        deliveries._mark_new,
        ROWS | OF,
        "SEARCH other USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
    "deliveries._settle": (
        deliveries._settle,
        ROWS | OF,
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
}
FULL = re.compile(r"SCAN (aliases|calls|deliveries|events|other)\b(?! USING INDEX)")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """SQLite, whatever engines the suite runs over."""
    return f"sqlite:///{tmp_path / 'relay.db'}"


def explained(connection: Connection, statement: Any, given: dict[str, Any]) -> list[str]:
    compiled = statement.compile(dialect=connection.dialect)
    params = compiled.construct_params(given)
    values = tuple(params[name] for name in compiled.positiontup)
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
    return [row.detail.replace("COVERING ", "") for row in plan]


@pytest.mark.parametrize("name", PLANS)
async def test_it_uses_its_index(ledger: Ledger, name: str) -> None:
    statement, given, wanted = PLANS[name]
    plan = await ledger.read(lambda c: explained(c, statement, given))
    assert wanted in plan
    assert [step for step in plan if FULL.match(step)] == []


@pytest.mark.parametrize("name", ["journal._unfolded", "journal._of_call", "deliveries._due"])
async def test_it_reads_in_order_instead_of_sorting(ledger: Ledger, name: str) -> None:
    statement, given, _ = PLANS[name]
    plan = await ledger.read(lambda c: explained(c, statement, given))
    assert [step for step in plan if "TEMP B-TREE" in step] == []
