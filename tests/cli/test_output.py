"""Tables for people, JSON for scripts."""

import io
import json
import sys
from typing import Any

import pytest

from relay.cli.output import print_json, print_table

Said = pytest.CaptureFixture[str]


def test_json_is_complete_and_readable(capsys: Said) -> None:
    print_json([{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}])
    said = capsys.readouterr().out
    assert json.loads(said) == [{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}]
    assert "Íñigo 漢字" in said
    assert said.count("\n") > 3


def test_off_a_terminal_a_row_is_a_line_however_long(capsys: Said) -> None:
    print_table(("id", "contact", "problem"), [("x" * 300, "María José " * 40, "end"), ("2", None, "end")])
    heading, long, short = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "contact", "problem"]
    assert long.split()[0] == "x" * 300
    assert (long[-3:], short.split()) == ("end", ["2", "end"])


def test_columns_stand_below_their_headings(capsys: Said) -> None:
    print_table(("a", "b", "c"), [(None, "漢字", 0), ("long enough", False, "")])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading == "a            b      c"
    assert first == "             漢字   0"
    assert second == "long enough  False"


def test_no_line_is_filled_up_to_the_longest(capsys: Said) -> None:
    print_table(("field", "value"), [("transcript", "x" * 5000), ("notes", "short")])
    assert capsys.readouterr().out.splitlines()[2] == "notes       short"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[bold]Ana[/bold]", "[bold]Ana[/bold]"),
        ("[/nothing opened]", "[/nothing opened]"),
        (":smile:", ":smile:"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
    ],
)
def test_a_cell_is_shown_as_it_is_and_obeyed_by_nobody(capsys: Said, value: str, shown: str) -> None:
    print_table(("name",), [(value,)])
    assert capsys.readouterr().out.splitlines()[1] == shown


def test_on_a_terminal_ids_are_whole_and_the_rest_is_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    rows: list[tuple[Any, ...]] = [("cloudtalk-sim-00000000-000001", "missed", "María José Fernández " * 4)]
    print_table(("id", "status", "contact"), rows)
    said = terminal.getvalue()
    assert "cloudtalk-sim-00000000-000001" in said
    assert len(said.splitlines()) > 3
    assert said.count("Fernández") == 4
