"""The tables of a report: as text for a terminal, and as Markdown for the README."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill, wrap
from typing import Final

from bench.result import Result

Cells = tuple[str, ...]

_WIDTH: Final = 100
_NO_DECIMALS_FROM: Final = 100
_ONE_DECIMAL_FROM: Final = 10
_THOUSAND: Final = 1_000
_MILLION: Final = 1_000_000
_INDENT: Final = "  "
_NOT_MEASURED: Final = "-"
_SLASH_WITH_NEXT_WORD: Final = "/\N{NO-BREAK SPACE}"


def format_figure(value: float | None) -> str:
    """Format a measured figure with about three digits; more would not be repeatable. An `int` is a count."""
    if value is None:
        return _NOT_MEASURED
    if isinstance(value, int) or value >= _NO_DECIMALS_FROM:
        return f"{value:,.0f}"
    if value >= _ONE_DECIMAL_FROM:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def about(number: int) -> str:
    """Write a large number in words, as `2 million`."""
    unit, name = (_MILLION, "million") if number >= _MILLION // 2 else (_THOUSAND, "thousand")
    return f"{round(number / unit)} {name}"


def machine_text(machine: Mapping[str, str]) -> str:
    """Format the facts about the machine, one a line."""
    width = max(map(len, machine), default=0)
    return "\n".join(f"{name:{width}}  {fact}" for name, fact in machine.items())


def result_text(result: Result) -> str:
    """Format one question with aligned columns."""
    conditions = fill(result.conditions, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join([result.question, conditions, text_table(_header(result), _cells(result))])


def text_table(header: Cells, rows: Sequence[Cells]) -> str:
    """Align the first column left and the others right. A title that is wider than its figures is wrapped."""
    titles = [title.replace("/ ", _SLASH_WITH_NEXT_WORD) for title in header]
    columns = list(zip(*rows, strict=True)) or [() for _ in header]
    widths = [
        max(map(len, (*title.split(" "), *cells))) for title, cells in zip(titles, columns, strict=True)
    ]
    lines = [*_wrapped(titles, widths), *rows]
    return "\n".join(_aligned(line, widths).rstrip() for line in lines)


def _wrapped(titles: Sequence[str], widths: Sequence[int]) -> list[Cells]:
    """Wrap the titles to their columns; short ones are in the last line."""
    wrapped = [wrap(title, max(width, 1)) for title, width in zip(titles, widths, strict=True)]
    height = max(map(len, wrapped))
    padded = [[""] * (height - len(lines)) + lines for lines in wrapped]
    return [
        tuple(cell.replace(_SLASH_WITH_NEXT_WORD, "/ ") for cell in line)
        for line in zip(*padded, strict=True)
    ]


def _aligned(cells: Cells, widths: list[int]) -> str:
    case, *figures = (
        f"{cell:<{width}}" if index == 0 else f"{cell:>{width}}"
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return _INDENT + _INDENT.join([case, *figures])


def machine_markdown(machine: Mapping[str, str]) -> str:
    """Format the facts about the machine as a table."""
    return markdown_table(("", ""), machine.items())


def result_markdown(result: Result) -> str:
    """Format one question as a heading, its conditions and a table."""
    return (
        f"### {result.question}\n\n{result.conditions}\n\n{markdown_table(_header(result), _cells(result))}"
    )


def markdown_table(header: Cells, rows: Iterable[Cells]) -> str:
    """Align the first column and columns without a title left, the others right."""
    rule = ("---", *("---:" if title else "---" for title in header[1:]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _header(result: Result) -> Cells:
    return ("", *result.columns)


def _cells(result: Result) -> list[Cells]:
    return [(row.case, *map(format_figure, row.figures)) for row in result.rows]
