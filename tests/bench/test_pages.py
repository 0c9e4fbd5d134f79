"""The benchmark of the pages, as short as it can be, with real relays."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import pages
from bench.environment import Environment
from bench.pages import Known, Size, Visit
from bench.result import BenchError


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_folder")
def test_each_page_is_visited_in_both_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_QUICK_SIZE", Size(400, 3, 2))
    with ExitStack() as stack:
        result = pages.measure(Environment(stack, quick=True))
    assert "1,200 calls in 3 days, each with a delivery; 60 are dead letters." in result.conditions
    cases = [visit.case for visit in pages.list_visits(Known("", "", "", ""))]
    assert [row.case for row in result.rows] == cases
    assert {len(row.figures) for row in result.rows} == {len(pages.COLUMNS)}
    assert all(figure is not None and figure > 0 for row in result.rows for figure in row.figures)


def test_no_ledger_is_filled_if_no_page_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "fold_day", None)
    environment = SimpleNamespace(quick=True, includes=lambda _: False)
    assert pages.measure(cast("Any", environment)).rows == ()


@pytest.mark.parametrize(("calls", "finds"), [(0, True), (3, False)])
def test_a_search_must_find_what_it_should(calls: int, finds: bool) -> None:
    console = cast("Any", SimpleNamespace(count_calls=lambda _: calls))
    with pytest.raises(BenchError, match="calls shows"):
        pages._check(console, Visit("search", "calls", finds=finds))
    pages._check(console, Visit("search", "calls", finds=not finds))
