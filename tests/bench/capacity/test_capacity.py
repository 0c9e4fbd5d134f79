"""The command, and docs/capacity.md with its tables."""

import re
from pathlib import Path
from typing import Final

import pytest

from bench.capacity import __main__ as command
from bench.capacity import tables
from bench.capacity.figures import read_figures
from bench.capacity.tables import build_tables
from bench.capacity.traffic import OUTAGE_DAY
from bench.publish import END, PUBLISHED, read_report, write_report
from bench.result import Result
from bench.table import format_figure, result_text
from tests.support.bench_report import make_report

ROOT: Final = Path(__file__).parents[3]
THREE_DAYS: Final = range(OUTAGE_DAY - 1, OUTAGE_DAY + 2)


@pytest.fixture(scope="module")
def shown() -> tuple[Result, ...]:
    return build_tables(read_figures(make_report()), THREE_DAYS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the page, and the figures of a last run."""
    for name in ("bench", "docs", "var"):
        (tmp_path / name).mkdir()
    (tmp_path / command.PAGE).write_text((ROOT / command.PAGE).read_text())
    write_report(make_report(), tmp_path / "var/bench.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "build_tables", lambda figures: build_tables(figures, THREE_DAYS))
    return tmp_path


def shape(document: str) -> list[list[str]]:
    """Return the questions of the generated part, the titles of columns and the names of rows."""
    generated = document.partition(command.BEGIN)[2].partition(END)[0]
    return [
        [
            block.partition("\n")[0],
            *(line.split(" | ")[0] for line in re.findall(r"^\| .*", block, re.MULTILINE)),
        ]
        for block in generated.split("\n### ")[1:]
    ]


def hand_written() -> str:
    page = (ROOT / command.PAGE).read_text()
    return page.partition(command.BEGIN)[0] + page.partition(END)[2]


@pytest.mark.usefixtures("folder")
def test_the_command_prints_the_tables(capsys: pytest.CaptureFixture[str], shown: tuple[Result, ...]) -> None:
    assert command.main([]) == 0
    printed = capsys.readouterr().out
    assert "2026-01-02" in printed
    assert all(result_text(table) in printed for table in shown)
    assert max(map(len, printed.splitlines())) <= 120


def test_the_page_gets_the_tables_and_keeps_its_text(folder: Path, shown: tuple[Result, ...]) -> None:
    before = (folder / command.PAGE).read_text()
    assert command.main(["--write"]) == 0
    after = (folder / command.PAGE).read_text()
    assert [questions[0] for questions in shape(after)] == [table.question for table in shown]
    assert after.partition(command.BEGIN)[0] == before.partition(command.BEGIN)[0]
    assert after.partition(END)[2] == before.partition(END)[2]
    assert f"| {format_figure(shown[0].rows[0].figures[0])} |" in after


def test_without_figures_it_says_what_to_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "var/bench.json").unlink()
    assert command.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert command.main(["--figures", "other.json"]) == 1
    assert "other.json" in capsys.readouterr().err


def test_the_published_page_has_the_tables_of_the_command(shown: tuple[Result, ...]) -> None:
    """Before a run is published, the page has none."""
    page = (ROOT / command.PAGE).read_text()
    is_published = (ROOT / PUBLISHED).exists()
    assert bool(shape(page)) == is_published
    if is_published:
        report = read_report(ROOT / PUBLISHED)
        assert report.measured_on in page
        assert shape(page) == shape(command.render_page(page, report.measured_on, shown))


def test_the_hand_written_text_has_no_figures() -> None:
    """A figure in the text would be wrong after the next run: it refers to the tables instead."""
    text = re.sub(
        r"```.*?```|`[^`]*`|\]\([^)]*\)|^ *\d\. ", "", hand_written(), flags=re.DOTALL | re.MULTILINE
    )
    assert re.findall(r".*\d.*", text) == []


def test_the_text_names_rows_and_columns_that_exist(shown: tuple[Result, ...]) -> None:
    names = " ".join(
        text
        for table in shown
        for text in (table.question, *table.columns, *(row.case for row in table.rows))
    )
    quoted = re.findall(r"“([^”…]+)", " ".join(hand_written().split()))
    assert len(quoted) >= 5
    benchmarks = "Does it slow down as it fills?"
    assert [quote for quote in quoted if quote.strip() not in f"{names} {benchmarks}"] == []


def test_the_figures_of_the_tables(shown: tuple[Result, ...]) -> None:
    """Computed by hand from the figures of the report."""
    figures = {
        (row.case, column): figure
        for table in shown
        for row in table.rows
        for column, figure in zip(table.columns, row.figures, strict=True)
    }
    assert figures["1 core, 1 process, SQLite", "holds"] == pytest.approx(2_000)
    assert figures["3 cores, 3 relays, PostgreSQL", "measured"] == 2_400
    # The busiest hour has 3 times 1.25 of the normal rate: 5 calls with 2.6 events of each agent.
    assert figures["1 core, 1 process, SQLite", "agents"] == pytest.approx(
        2_000 * 3_600 / 13 / 3.75, rel=0.01
    )
    assert figures["one process that folds, and accepts nothing", "events/s"] == pytest.approx(5_000)
    everybody = tables.CUSTOMERS * tables.AGENTS_OF_CUSTOMER * 13 / 3_600 * 3.75
    assert figures["PostgreSQL with 2 cores", "all customers = 1"] == pytest.approx(
        20_000 / everybody, rel=0.01
    )
    assert figures[
        "a company, 1 core, 1 process, SQLite → HubSpot, with contacts", "longest h"
    ] == pytest.approx(24, rel=0.01)
