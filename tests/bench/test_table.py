import pytest

from bench import accept
from bench.result import Result, Row
from bench.table import about, format_figure, machine_markdown, machine_text, result_markdown, result_text

RESULT = Result(
    "accept",
    "How many?",
    "On this machine.",
    ("events/s", "p99 ms"),
    (Row("one connection", (1234.56, 7.891)), Row("many", (98.76, None))),
)
MACHINE = {"disk": "ext4", "versions": "uvloop 1"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.000"),
        (13, "13"),
        (0.0456, "0.046"),
        (1.0, "1.00"),
        (9.99, "9.99"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
    ],
)
def test_a_figure_has_about_three_digits(value: float | None, shown: str) -> None:
    assert format_figure(value) == shown


def test_the_text_aligns_cases_left_and_figures_right() -> None:
    assert result_text(RESULT).splitlines() == [
        "How many?",
        "  On this machine.",
        "                             p99",
        "                  events/s    ms",
        "  one connection     1,235  7.89",
        "  many                98.8     -",
    ]


def test_the_tables_of_the_published_run_fit_a_terminal() -> None:
    case, figures = (
        "PostgreSQL, workflow, everything on, 256 connections",
        (12_345.0, 0.123, 123.0, 456.0, 7_890.0),
    )
    result = Result("accept", "How many?", "", accept.COLUMNS, (Row(case, (*figures, 12.3, 12_345.0)),))
    assert max(map(len, result_text(result).splitlines())) <= 120


def test_a_title_is_not_wrapped_after_a_slash() -> None:
    result = Result("accept", "How many?", "", ("rate / bare",), (Row("all", (0.5,)),))
    assert result_text(result).splitlines()[2:] == ["         rate", "       / bare", "  all   0.500"]


def test_long_conditions_are_wrapped() -> None:
    result = Result("accept", "How many?", "word " * 50, ("events/s",), ())
    lines = result_text(result).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.count("word") for line in lines) == 50


def test_the_markdown_is_a_heading_and_a_table() -> None:
    assert result_markdown(RESULT).splitlines() == [
        "### How many?",
        "",
        "On this machine.",
        "",
        "|  | events/s | p99 ms |",
        "| --- | ---: | ---: |",
        "| one connection | 1,235 | 7.89 |",
        "| many | 98.8 | - |",
    ]


def test_the_facts_of_the_machine_have_their_names() -> None:
    assert machine_text(MACHINE).splitlines() == ["disk      ext4", "versions  uvloop 1"]
    assert machine_markdown(MACHINE).splitlines() == [
        "|  |  |",
        "| --- | --- |",
        "| disk | ext4 |",
        "| versions | uvloop 1 |",
    ]


@pytest.mark.parametrize(
    ("number", "words"), [(9_950, "10 thousand"), (499_999, "500 thousand"), (1_007_000, "1 million")]
)
def test_a_large_number_in_words(number: int, words: str) -> None:
    assert about(number) == words
