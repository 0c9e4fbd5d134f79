"""Output of the commands: tables for people, JSON for scripts."""

import os
import sys
import textwrap
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from json import dumps
from typing import Any, Final, TextIO

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from relay.cli.program import program
from relay.standards.unprintable import UNPRINTABLE, escape_unprintable

_UNLIMITED_WIDTH: Final = 1_000_000
_GAP: Final = 2
"""Spaces between two columns."""

_INDENT: Final = "  "
_MIN_WIDTH_OF_CROPPED: Final = 8
_MIN_WIDTH_OF_WRAPPED: Final = 24

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(value: Any) -> None:
    click.echo(_json_text(value))


async def print_json_array(items: AsyncIterable[Any]) -> None:
    """Print one array, each item as soon as it is there: there may be a million."""
    separator = "["
    async for item in items:
        click.echo(separator, nl=False)
        click.echo("\n" + textwrap.indent(_json_text(item), _INDENT), nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def _json_text(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else dumps(found[0])[1:-1], text)


def echo(text: str = "", *, err: bool = False) -> None:
    """Print lines of text. On a terminal a line that is too long is continued below, between two words.

    Unprintable characters are shown as their escapes: a message may quote a name or the text of a CRM. A
    command in backticks, such as `relay check`, is shown as the person has to type it.
    """
    text = program.name_in(text)
    width = _width_of(sys.stderr if err else sys.stdout)
    for line in escape_unprintable(text, keep="\n").split("\n"):
        click.echo(_wrap(line, width), err=err)


def _wrap(line: str, width: int) -> str:
    """Continue a long line below, with its indent. A word is never split: it may be an id or a URL."""
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.lstrip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_records(
    columns: Sequence[str], records: Iterable[msgspec.Struct], *, crop: str | None = None
) -> None:
    """Print a table with one row per record and one column per named field."""
    print_table(columns, ([getattr(record, column) for column in columns] for record in records), crop=crop)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one record as a table with one row per field. A word of a value is never split.

    On a terminal, objects are below the table as JSON with a line per key, and so are texts of several lines.
    """
    width = _width_of(sys.stdout)
    on_terminal = fields if width < _UNLIMITED_WIDTH else {}
    blocks = {name: lines for name, value in on_terminal.items() if (lines := _block_of(value))}
    cells = [("field", _cell("value")), *((n, _cell(v)) for n, v in fields.items() if n not in blocks)]
    offset = max(len(name) for name, _ in cells) + _GAP
    for name, cell in cells:
        click.echo("\n".join(_field_lines(name, cell, offset, width)))
    for name, lines in blocks.items():
        echo("\n".join(["", name, *(_INDENT + line for line in lines)]))


def _block_of(value: Any) -> list[str]:
    """Return the lines of an object or of a text of several lines; no lines for any other value."""
    if isinstance(value, dict) and value:
        return msgspec.json.format(msgspec.json.encode(value), indent=len(_INDENT)).decode().split("\n")
    return value.strip().splitlines() if isinstance(value, str) and "\n" in value.strip() else []


def _field_lines(name: str, cell: Text, offset: int, width: int) -> list[str]:
    """Return the lines of one field: a word that does not fit beside the name is on a line below it."""
    if any(cell_len(word) > width - offset for word in cell.plain.split()):
        return [name, _wrap(_INDENT + cell.plain, width)]
    lines = cell.wrap(Console(), max(width - offset, 1)) or [Text()]
    names = (name, *("" for _ in lines[1:]))
    return [f"{n:<{offset}}{line.plain}".rstrip() for n, line in zip(names, lines, strict=True)]


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    crop: str | None = None,
    wrap: str | None = None,
) -> None:
    """Print a table. None is printed as an empty cell.

    On a terminal that is too narrow, the texts of the column `crop` lose their ends, and those of `wrap` are
    continued on the next line; all other cells stay whole. If that is not enough, the first cell of each row
    is printed on a line of its own, and otherwise, or if one of them is empty, each cell.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    width = _width_of(sys.stdout)
    table = _Table(columns, cells, crop, wrap)
    if table.min_width <= width:
        lines = table.lines(width)
    elif wrap is None and all(row[0].plain for row in cells) and table.rest.min_width <= width - len(_INDENT):
        lines = _lines_below_first_cells(table, width)
    else:
        lines = _lines_of_blocks(table, width)
    click.echo("\n".join(lines))


class _Table:
    """Cells with their columns; the column `crop` or `wrap` may be narrower than its cells."""

    def __init__(
        self, columns: Sequence[str], cells: Sequence[Sequence[Text]], crop: str | None, wrap: str | None
    ) -> None:
        self.columns, self.cells = columns, cells
        self._crop, self._wrap = crop, wrap
        self._widths = [
            max([cell_len(column), *(row[index].cell_len for row in cells)])
            for index, column in enumerate(columns)
        ]

    @property
    def rest(self) -> "_Table":
        """The table without its first column."""
        return _Table(self.columns[1:], [row[1:] for row in self.cells], self._crop, self._wrap)

    @property
    def min_width(self) -> int:
        """The width with the flexible column as narrow as it may be."""
        widths = (
            min(width, self._min_width_of(index)) if self._is_flexible(column) else width
            for index, (column, width) in enumerate(zip(self.columns, self._widths, strict=True))
        )
        return sum(widths) + _GAP * (len(self.columns) - 1)

    def _min_width_of(self, index: int) -> int:
        """The least width of a flexible column; where texts are wrapped, no word is split."""
        if self.columns[index] != self._wrap:
            return _MIN_WIDTH_OF_CROPPED
        words = (word for row in self.cells for word in row[index].plain.split())
        return max([_MIN_WIDTH_OF_WRAPPED, *map(cell_len, words)])

    def _is_flexible(self, column: str) -> bool:
        return column in {self._crop, self._wrap}

    def lines(self, width: int) -> list[str]:
        """Return the heading and the rows; a row is one line unless a text of it is wrapped."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        spare = width - sum(self._widths) - _GAP * (len(self.columns) - 1)
        for column, natural in zip(self.columns, self._widths, strict=True):
            cell_width = natural + min(spare, 0) if self._is_flexible(column) else natural
            if column == self._wrap:
                table.add_column(column, overflow="fold", width=cell_width)
            else:
                table.add_column(column, overflow="ellipsis", no_wrap=True, width=cell_width)
        for row in self.cells:
            table.add_row(*row)
        console = Console(width=max(width, 1))
        with console.capture() as capture:
            console.print(table)
        # Rich pads every line to the width of the longest, which may be a transcript.
        return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def _lines_below_first_cells(table: _Table, width: int) -> list[str]:
    heading, *rows = table.rest.lines(width - len(_INDENT))
    lines = [table.columns[0], _INDENT + heading]
    for cells, row in zip(table.cells, rows, strict=True):
        lines += [cells[0].plain, _INDENT + row]
    return lines


def _lines_of_blocks(table: _Table, width: int) -> list[str]:
    """Return a block per row, with a line per cell that is not empty."""
    lines: list[str] = []
    for row in table.cells:
        pairs = [(Text(name), cell) for name, cell in zip(table.columns, row, strict=True) if cell.plain]
        block = _Table(("field", "value"), pairs, None, "value")
        _, *block_lines = block.lines(width)
        lines += ["", *block_lines] if lines else block_lines
    return lines


def _width_of(stream: TextIO) -> int:
    """Return the width of a terminal or, for a pipe or a file, the one in the variable COLUMNS.

    Without either each row is one line, so that grep and awk can read it.
    """
    is_limited = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console().width if is_limited else _UNLIMITED_WIDTH


def _cell(value: Any) -> Text:
    """Escape unprintable characters, and keep rich from interpreting a value as its markup."""
    if isinstance(value, dict | list):
        value = dumps(value, ensure_ascii=False)
    return Text("" if value is None else escape_unprintable(program.name_in(str(value))))
