"""Output of the commands: tables for people, JSON for scripts."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNLIMITED_WIDTH: Final = 10_000
_ESCAPED_CONTROLS: Final = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
"""Control characters and their escapes: a name or a note must not control the terminal."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_records(columns: Sequence[str], records: Iterable[msgspec.Struct]) -> None:
    """Print a table with one row per record and one column per named field."""
    print_table(columns, ([getattr(record, column) for column in columns] for record in records))


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one record as a table with one row per field."""
    print_table(("field", "value"), fields.items())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table. None is printed as an empty cell."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"id", "name", "status"})
    for row in rows:
        table.add_row(*map(_cell, row))
    # Without a terminal each row is one line, however long, so that grep and awk can read it.
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED_WIDTH)
    with console.capture() as capture:
        console.print(table)
    # Rich pads every line to the width of the longest, which may be a transcript.
    click.echo("\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n")))


def _cell(value: Any) -> Text:
    """Escape control characters, and keep rich from interpreting a value as its markup."""
    return Text("" if value is None else str(value).translate(_ESCAPED_CONTROLS))
