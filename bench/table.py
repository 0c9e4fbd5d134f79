"""The tables of a report: as text for a terminal, and as Markdown for the README."""

from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Final

from bench.result import Result, Row

_WIDTH: Final = 100
_NO_DECIMALS_FROM: Final = 100
_ONE_DECIMAL_FROM: Final = 10
_INDENT: Final = "  "
_NOT_MEASURED: Final = "-"


def format_figure(value: float | None) -> str:
    """Format with about three digits; more would not be repeatable."""
    if value is None:
        return _NOT_MEASURED
    if value >= _NO_DECIMALS_FROM:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _ONE_DECIMAL_FROM else f"{value:.2f}"


def machine_text(machine: Mapping[str, str]) -> str:
    """Format the facts about the machine, one a line."""
    width = max(map(len, machine), default=0)
    return "\n".join(f"{name:{width}}  {fact}" for name, fact in machine.items())


def result_text(result: Result) -> str:
    """Format one question with aligned columns."""
    lines = [_header(result), *_cells(result)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = (_aligned(line, widths) for line in lines)
    conditions = fill(result.conditions, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join([result.question, conditions, *rows])


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    case, *figures = (
        f"{cell:<{width}}" if index == 0 else f"{cell:>{width}}"
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return _INDENT + _INDENT.join([case, *figures])


def machine_markdown(machine: Mapping[str, str]) -> str:
    """Format the facts about the machine as one paragraph."""
    return " · ".join(f"{name}: {fact}" for name, fact in machine.items())


def result_markdown(result: Result) -> str:
    """Format one question as a heading, its conditions and a table."""
    rule = ("---", *("---:" for _ in result.columns))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (_header(result), rule, *_cells(result)))
    return f"### {result.question}\n\n{result.conditions}\n\n{table}"


def _header(result: Result) -> tuple[str, ...]:
    return ("", *result.columns)


def _cells(result: Result) -> Iterator[tuple[str, ...]]:
    for row in result.rows:
        yield _formatted(row)


def _formatted(row: Row) -> tuple[str, ...]:
    return (row.case, *map(format_figure, row.figures))
