"""The benchmarks themselves, as short as they can be, with real relays."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import accept
from bench.environment import Environment


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmark write its files to a folder of the test."""
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environment() -> Iterator[Environment]:
    with ExitStack() as stack:
        yield Environment(stack, quick=True)


def test_the_command_prints_a_table_and_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick", "end_to_end"]) == 0
    printed = capsys.readouterr().out
    assert "What does it hold end to end?" in printed
    assert "synchronous = FULL" in printed
    report = json.loads(Path("var/bench.json").read_text())
    [result] = report["results"]
    assert report["quick"]
    assert all(figure > 0 for row in result["rows"] for figure in row["figures"])


def test_a_relay_that_only_accepts_folds_nothing(environment: Environment) -> None:
    [row] = accept.measure_case(environment, environment.sqlite, "signed", False, [8], 0.1)
    assert row.case == "SQLite, signed, accept only, 8 connections"
    figures = dict(zip(accept.COLUMNS, row.figures, strict=True))
    assert figures["delivered/s"] is None
    assert all(value > 0 for value in figures.values() if value is not None)
