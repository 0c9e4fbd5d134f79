"""Tables for people, JSON for scripts."""

import io
import json
import sys
from typing import Any

import pytest

from relay.cli.output import print_json, print_table

Capture = pytest.CaptureFixture[str]


def test_json_is_complete_and_readable(capsys: Capture) -> None:
    print_json([{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}])
    output = capsys.readouterr().out
    assert json.loads(output) == [{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}]
    assert "Íñigo 漢字" in output
    assert output.count("\n") > 3


def test_without_a_terminal_a_row_is_one_line_however_long(capsys: Capture) -> None:
    print_table(("id", "contact", "problem"), [("x" * 300, "María José " * 40, "end"), ("2", None, "end")])
    heading, long, short = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "contact", "problem"]
    assert long.split()[0] == "x" * 300
    assert (long[-3:], short.split()) == ("end", ["2", "end"])


def test_columns_are_aligned_with_their_headings(capsys: Capture) -> None:
    print_table(("a", "b", "c"), [(None, "漢字", 0), ("long enough", False, "")])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading == "a            b      c"
    assert first == "             漢字   0"
    assert second == "long enough  False"


def test_short_lines_are_not_padded_to_the_longest(capsys: Capture) -> None:
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
def test_markup_and_control_characters_are_shown_as_text(capsys: Capture, value: str, shown: str) -> None:
    print_table(("name",), [(value,)])
    assert capsys.readouterr().out.splitlines()[1] == shown


def test_on_a_terminal_ids_are_not_wrapped_and_other_columns_are(
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
    output = terminal.getvalue()
    assert "cloudtalk-sim-00000000-000001" in output
    assert len(output.splitlines()) > 3
    assert output.count("Fernández") == 4
