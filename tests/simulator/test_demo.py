"""The demo's own relay, and how it tells whether the CRM has what it must."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relay.simulator import demo as module
from relay.simulator.demo import Demo, DemoError, differing, rows_of

EXPECTED = {"id": "cloudtalk-1", "status": "missed", "follow_up": True, "ended_at": None}
ROW = {"id": "cloudtalk-1", "status": "Perdida", "follow_up": 1, "ended_at": None, "notes": "whatever"}


def test_a_row_with_its_label_stands_for_the_expected_record() -> None:
    assert differing([EXPECTED], [ROW]) == []


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
def test_a_row_that_is_missing_or_other_is_told(rows: list[dict[str, Any]]) -> None:
    assert differing([EXPECTED], rows) == [EXPECTED]


def test_two_rows_of_one_call_are_told() -> None:
    assert differing([EXPECTED], [ROW, ROW]) != []


def test_rows_are_read_as_any_tool_would_and_none_before_there_is_a_file(tmp_path: Path) -> None:
    crm = tmp_path / "50% of #1?.db"
    assert rows_of(crm) == []
    with closing(sqlite3.connect(crm)) as connection:
        connection.executescript(
            "CREATE TABLE calls (id, started_at); INSERT INTO calls VALUES ('b', 2), ('a', 1)"
        )
    assert [row["id"] for row in rows_of(crm)] == ["a", "b"]


async def test_records_that_never_become_as_expected_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DELIVERY_SECONDS", 0.2)
    with pytest.raises(DemoError, match=r"1 records are not as expected: .*cloudtalk-1"):
        await Demo(tmp_path).records([EXPECTED])


def test_a_relay_that_cannot_start_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTINGS", "[server]\nprot = 0\n")
    with (
        pytest.raises(DemoError, match=r"the relay did not start; its log says:\n(.*\n)*.*server\.port"),
        Demo(tmp_path).running(),
    ):
        pass


def test_a_relay_that_ends_by_itself_is_told_with_its_log(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    with demo.running():
        assert demo._process is not None
        demo._process.kill()
        with pytest.raises(DemoError, match=r"the relay ended by itself with -9; (.*\n)*.*server\.ready"):
            demo.wait()


def test_a_relay_that_will_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.001)
    demo = Demo(tmp_path)
    with demo.running():
        assert demo.url.startswith("http://127.0.0.1:")
    assert demo._process is not None
    assert demo._process.poll() is not None
