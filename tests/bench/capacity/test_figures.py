from pathlib import Path

import pytest

from bench.capacity.figures import FiguresMissing, find_report, read_figures
from bench.publish import OUTPUT, PUBLISHED, write_report
from tests.support.bench_report import make_report


def test_the_costs_of_an_event() -> None:
    figures = read_figures(make_report())
    assert figures.sqlite.alone == pytest.approx(0.002)
    assert figures.sqlite.accept == pytest.approx(0.0003)
    assert figures.sqlite.work == pytest.approx(0.0002)
    assert figures.sqlite.database == 0
    assert figures.postgres.database == pytest.approx(0.0001)


def test_a_latency_is_of_a_share_of_what_the_process_holds() -> None:
    """At 500 µs per event a process holds 2 000 events per second."""
    figures = read_figures(make_report())
    assert [latency.load for latency in figures.latencies] == pytest.approx([0.005, 0.1, 0.5])
    assert figures.latencies[2].percentiles == pytest.approx((0.010, 0.020, 0.030))


@pytest.mark.parametrize("case", ["PostgREST", "PostgreSQL, 3 relays", "memory, idle after the load (MB)"])
def test_a_figure_that_is_missing_is_named(case: str) -> None:
    with pytest.raises(FiguresMissing, match="run `make bench` without arguments") as raised:
        read_figures(make_report(without=case))
    assert f"“{case}”" in str(raised.value)


def test_impossible_figures_of_a_disturbed_machine_are_refused() -> None:
    with pytest.raises(FiguresMissing, match="Run `make bench` again"):
        read_figures(make_report(accept_only_64=500.0))


def test_the_published_report_comes_before_the_last_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    last, published = make_report(), make_report(without="PostgREST")
    for path, report in ((OUTPUT, last), (PUBLISHED, published)):
        path.parent.mkdir()
        write_report(report, path)
    assert find_report(None) == published
    PUBLISHED.unlink()
    assert find_report(None) == last
    assert find_report(OUTPUT) == last


@pytest.mark.parametrize("content", [None, b"{}", b"no JSON"])
def test_no_report_is_one_clear_line(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("other.json")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FiguresMissing, match=r"^[^\n]*other\.json[^\n]*$"):
        find_report(path)
