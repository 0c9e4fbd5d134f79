"""The demo's relay process, and the comparison of the CRM's rows with the expected records."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relay.simulator.demo import DemoError, DemoRelay, find_differences, read_crm_rows

EXPECTED = {"id": "cloudtalk-1", "status": "missed", "follow_up": True, "ended_at": None}
ROW = {"id": "cloudtalk-1", "status": "Perdida", "follow_up": 1, "ended_at": None, "notes": "anything"}


def test_a_row_with_the_label_of_the_status_matches() -> None:
    assert find_differences([EXPECTED], [ROW]) == []


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [ROW | {"id": "cloudtalk-2"}],
        [ROW | {"status": "missed"}],
        [ROW | {"follow_up": 0}],
        [ROW | {"ended_at": "2026-01-01T10:00:00Z"}],
    ],
)
def test_a_missing_or_different_row_is_a_difference(rows: list[dict[str, Any]]) -> None:
    assert find_differences([EXPECTED], rows) == [EXPECTED]


def test_two_rows_of_one_call_are_a_difference() -> None:
    assert find_differences([EXPECTED], [ROW, ROW]) != []


def test_rows_are_read_in_order_and_none_before_the_file_exists(tmp_path: Path) -> None:
    crm = tmp_path / "50% of #1?.db"
    assert read_crm_rows(crm) == []
    with closing(sqlite3.connect(crm)) as connection:
        connection.executescript(
            "CREATE TABLE calls (id, started_at); INSERT INTO calls VALUES ('b', 2), ('a', 1)"
        )
    assert [row["id"] for row in read_crm_rows(crm)] == ["a", "b"]


async def test_records_that_never_match_raise_an_error(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"1 records differ from what is expected: .*cloudtalk-1"):
        await DemoRelay(tmp_path, delivery_seconds=0).wait_for_records([EXPECTED])
