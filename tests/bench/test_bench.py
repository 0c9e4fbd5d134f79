"""The benchmarks themselves, as short as they can be, with a real relay."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import __main__ as command
from bench import accept, processes
from bench.environment import Environment
from bench.highlights import HIGHLIGHTS
from bench.result import BenchError, Result, Row

RESULT = Result("accept", "How many?", "As fast as possible.", ("events/s",), (Row("all", (12.0,)),))


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmark write its files to a folder of the test."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environment() -> Iterator[Environment]:
    with ExitStack() as stack:
        yield Environment(stack, quick=True)


def fail(_: Environment) -> Result:
    raise BenchError("an event is missing")


@pytest.mark.parametrize("folds", [True, False])
def test_a_relay_is_measured(environment: Environment, folds: bool) -> None:
    [row] = accept.measure_case(environment, accept.Case("SQLite", "signed", folds), [8], 0.05)
    assert row.case == f"SQLite, signed, {'everything on' if folds else 'accept only'}, 8 connections"
    figures = dict(zip(accept.COLUMNS, row.figures, strict=True))
    if not folds:
        assert figures.pop("delivered/s") is None
    assert all(value is not None and value > 0 for value in figures.values())


def test_the_command_prints_a_table_and_writes_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmarks = {"accept": SimpleNamespace(QUESTION="How many?", measure=lambda _: RESULT)}
    monkeypatch.setattr(command, "_BENCHMARKS", benchmarks)
    assert command.main([]) == 0
    printed = capsys.readouterr().out
    assert "synchronous = FULL" in printed
    assert "How many?\n  As fast as possible.\n       events/s\n  all      12.0\n" in printed
    report = json.loads(Path("var/bench.json").read_text())
    assert report["results"][0]["rows"] == [{"case": "all", "figures": [12.0]}]


def test_a_benchmark_that_fails_is_named_and_the_others_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmarks = {
        "cost": SimpleNamespace(QUESTION="What does it cost?", measure=fail),
        "accept": SimpleNamespace(QUESTION="How many?", measure=lambda _: RESULT),
    }
    monkeypatch.setattr(command, "_BENCHMARKS", benchmarks)
    assert command.main([]) == 1
    printed = capsys.readouterr().out
    assert "What does it cost?\n  FAILED: an event is missing\n" in printed
    assert "How many?" in printed
    assert [result["name"] for result in json.loads(Path("var/bench.json").read_text())["results"]] == [
        "accept"
    ]


def test_each_highlight_is_a_column_of_its_benchmark() -> None:
    columns = {name: benchmark.COLUMNS for name, benchmark in command._BENCHMARKS.items()}
    assert [each.name for each in HIGHLIGHTS if each.column not in columns[each.result]] == []


def test_only_chosen_cases_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is started for the others."""
    monkeypatch.setattr(processes, "_measure", lambda _, case, __: Row(str(case), (12.0,)))
    monkeypatch.setattr(accept, "serve", fail)
    with ExitStack() as stack:
        environment = Environment(stack, only="3 relays")
        assert processes.measure(environment).rows == (Row("PostgreSQL, 3 relays", (12.0,)),)
        assert accept.measure(environment).rows == ()


@pytest.mark.parametrize("arguments", [["--quick"], ["accept"], ["--only", "all"]])
def test_a_part_of_a_run_does_not_replace_a_whole_run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmarks = {"accept": SimpleNamespace(QUESTION="How many?", measure=lambda _: RESULT)}
    monkeypatch.setattr(command, "_BENCHMARKS", benchmarks)
    assert command.main(arguments) == 0
    assert [path.name for path in Path("var").iterdir()] == ["bench-part.json"]


@pytest.mark.parametrize(
    ("arguments", "measured"), [([], ["accept"]), (["--full"], ["accept", "pages"]), (["pages"], ["pages"])]
)
def test_a_long_benchmark_runs_only_if_it_is_asked_for(
    arguments: list[str], measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def benchmark(name: str) -> SimpleNamespace:
        def measure(_: Environment) -> Result:
            ran.append(name)
            return RESULT

        return SimpleNamespace(QUESTION="How long?", measure=measure)

    benchmarks = {name: benchmark(name) for name in ("accept", "pages")}
    monkeypatch.setattr(command, "_BENCHMARKS", benchmarks)
    assert command.main(arguments) == 0
    assert ran == measured


def test_a_text_that_is_in_no_case_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["processes", "--only", "4 relays"]) == 1
    assert "No case of these benchmarks contains '4 relays'." in capsys.readouterr().err
    assert list(Path("var").iterdir()) == []


def test_an_unknown_benchmark_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["speed"])
    assert ended.value.code == 2
    assert "the benchmarks are accept, freshness" in capsys.readouterr().err
