"""The README and docs/benchmarks.md are generated from the last published run."""

import re
import shutil
from pathlib import Path
from typing import Final

import msgspec
import pytest

from bench import publish
from bench.highlights import HIGHLIGHTS, Highlight, goal_rows
from bench.result import Report, Result, Row

ROOT: Final = Path(__file__).parents[2]
OPTIONAL: Final = {each.name for each in HIGHLIGHTS if each.case == "5 million events"}
"""Only `make bench-full` measures these."""

PROCESSES: Final = Highlight("", "processes", "SQLite, 1 worker", "events/s")
"""No highlight is among these figures, but docs/capacity.md needs them."""


def report(*, leave_out: str = "") -> Report:
    """A run in which each highlight is 7, and nothing else was measured."""
    results = [
        Result(each.result, "?", "", (each.column,), (Row(each.case, (7.0,)),))
        for each in (*HIGHLIGHTS, PROCESSES)
        if each.result != leave_out
    ]
    return Report("2026-01-02", {"machine": "2 cores", "disk": "ext4"}, tuple(results))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a README, and nothing published."""
    for name in ("bench", "docs", "var"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_and_the_page_have_the_figures_of_the_published_run() -> None:
    """Before a run is published, there is no page, and the README names none."""
    readme, page = (ROOT / publish.README).read_text(), ROOT / publish.PAGE
    is_published = (ROOT / publish.PUBLISHED).exists()
    assert page.exists() == (str(publish.PAGE) in generated_part(readme)) == is_published
    if is_published:
        published = publish.read_report(ROOT / publish.PUBLISHED)
        assert publish.render_readme(readme, published) == readme
        assert publish.render_page(published) == page.read_text()
        assert {name for name, *_ in goal_rows(published)} >= {each.name for each in HIGHLIGHTS} - OPTIONAL


def generated_part(readme: str) -> str:
    return readme.partition(publish.BEGIN)[2].partition(publish.END)[0]


def test_a_run_is_published(folder: Path) -> None:
    publish.write_report(report(), folder / publish.OUTPUT)
    assert publish.main() == 0
    assert publish.read_report(folder / publish.PUBLISHED) == report()
    readme = (folder / "README.md").read_text()
    generated = generated_part(readme)
    assert len(re.findall(r"\| 7\.00 \|$", generated, re.MULTILINE)) == len(HIGHLIGHTS)
    assert "2026-01-02" in generated
    original = (ROOT / "README.md").read_text()
    assert readme.partition(publish.BEGIN)[0] == original.partition(publish.BEGIN)[0]
    assert readme.partition(publish.END)[2] == original.partition(publish.END)[2]
    assert (folder / "docs/benchmarks.md").read_text().count("| 7.00 |") == 2 * len(HIGHLIGHTS) + 1


@pytest.mark.parametrize("run", [report(leave_out="growth"), report(leave_out="processes"), None])
def test_a_part_of_a_run_is_not_published(
    run: Report | None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if run is not None:
        publish.write_report(run, folder / publish.OUTPUT)
    assert publish.main() == 1
    assert "make bench" in capsys.readouterr().err
    assert not (folder / publish.PUBLISHED).exists()


@pytest.mark.parametrize(
    ("goal", "value", "text", "reached"),
    [
        ({"at_most": 30}, 30, "≤ 30", ""),
        ({"at_most": 30}, 30.1, "≤ 30", "no"),
        ({"at_least": 5_000}, 5_000, "≥ 5,000", ""),
        ({"at_least": 0.2}, 0.19, "≥ 0.2", "no"),
    ],
)
def test_a_goal_is_reached_or_not(
    goal: dict[str, float], value: float, text: str, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    highlight = Highlight("name", "accept", "case", "column", **goal)
    monkeypatch.setattr("bench.highlights.HIGHLIGHTS", (highlight,))
    result = Result("accept", "?", "", ("column",), (Row("case", (value,)), Row("other", (None,))))
    [row] = goal_rows(Report("2026-01-02", {}, (result,)))
    assert (row[0], *row[2:]) == ("name", text, reached)


def test_a_report_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    original = msgspec.structs.replace(
        report(), results=(Result("accept", "?", "…", ("a", "b"), (Row("µ", (1.5, None)),)),)
    )
    publish.write_report(original, tmp_path / "bench.json")
    assert publish.read_report(tmp_path / "bench.json") == original
