"""Tables for people, JSON for scripts."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_ENDLESS: Final = 10_000
_CONTROLS: Final = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
"""What a terminal obeys, spelled out: names and notes are others' words."""

as_json = click.option("--json", "wants_json", is_flag=True, help="JSON for scripts.")


def print_json(value: Any) -> None:
    """One JSON value, readable and complete."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table as wide as it needs to be; empty where nothing is known."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"id", "name", "status"})
    for row in rows:
        table.add_row(*map(_cell, row))
    # Off a terminal a line is a row, however long: it is read by grep and awk.
    console = Console(width=None if sys.stdout.isatty() else _ENDLESS)
    with console.capture() as shown:
        console.print(table)
    # Rich fills every line to the width of the longest, which may be a transcript.
    click.echo("\n".join(line.rstrip() for line in shown.get().rstrip("\n").split("\n")))


def _cell(value: Any) -> Text:
    """The value's words as they are: a name may look like rich's markup."""
    return Text("" if value is None else str(value).translate(_CONTROLS))
