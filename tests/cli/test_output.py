"""Tables for people, JSON for scripts."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from relay.cli.output import echo, print_fields, print_json, print_table

Capture = pytest.CaptureFixture[str]


def test_json_is_complete_and_readable(capsys: Capture) -> None:
    print_json([{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}])
    output = capsys.readouterr().out
    assert json.loads(output) == [{"id": "1", "name": "Íñigo 漢字", "tags": [], "at": None}]
    assert "Íñigo 漢字" in output
    assert output.count("\n") > 3


def test_unprintable_characters_are_escaped_in_json_and_stay_the_same_value(capsys: Capture) -> None:
    value = {"name": "a\x9b\u202e\x1b\n\u2028z"}
    print_json(value)
    output = capsys.readouterr().out
    assert output.replace("\n", "").isprintable()
    assert json.loads(output) == value


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
        ("+34\u202e600\u2069\u200e", "+34\\u202e600\\u2069\\u200e"),
        ("a\u2028b\x85c\x7f", "a\\u2028b\\x85c\\x7f"),
        ("\u061c1", "\\u061c1"),
    ],
)
def test_markup_and_control_characters_are_shown_as_text(capsys: Capture, value: str, shown: str) -> None:
    print_table(("name",), [(value,)])
    assert capsys.readouterr().out.splitlines()[1] == shown


def test_without_a_terminal_the_variable_columns_gives_the_width(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("name", "problem"), [("crm", "no answer " * 12)], wrap="problem")
    echo("no answer " * 12)
    captured = capsys.readouterr().out
    assert max(map(len, captured.splitlines())) <= 40
    assert captured.count("answer") == 24


def test_a_message_without_a_terminal_is_one_line(capsys: Capture) -> None:
    echo("no answer " * 12 + "end")
    assert capsys.readouterr().out == "no answer " * 12 + "end\n"


@pytest.mark.parametrize("err", [False, True])
def test_a_message_is_wrapped_between_words_and_escaped(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, *, err: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    url = "https://relay.example.com/cloudtalk/webhook/call.ended?x=1"
    echo(f"first\n  crm: calls of Ana\x9b31m and {UUID_ID} were sent to {url} now", err=err)
    printed = capsys.readouterr()
    assert (printed.out if err else printed.err) == ""
    assert (printed.err if err else printed.out).splitlines() == [
        "first",
        "  crm: calls of Ana\\x9b31m and",
        f"  {UUID_ID}",
        "  were sent to",
        f"  {url}",
        "  now",
    ]


# --- on a terminal --------------------------------------------------------------------------------

UUID_ID: Final = "cloudtalk-44fe27cd-5268-4670-993e-0129aabbccdd"
TIME: Final = "2026-11-26T14:26:25Z"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def terminal(width: int = 80) -> Iterator[Terminal]:
    """Standard output is a terminal of this width, without colours."""
    with pytest.MonkeyPatch.context() as patch:
        output = Terminal()
        patch.setattr(sys, "stdout", output)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        patch.setenv("NO_COLOR", "1")
        yield output


def shown(output: Terminal) -> list[str]:
    return [line.rstrip() for line in click.unstyle(output.getvalue()).splitlines()]


def test_a_table_that_fits_has_a_line_per_row() -> None:
    with terminal() as output:
        print_table(("id", "status", "contact"), [(UUID_ID, "missed", "Ana")], crop="contact")
    assert shown(output) == [f"{'id':48}status  contact", f"{UUID_ID}  missed  Ana"]


def test_a_column_of_texts_is_cropped_to_the_width() -> None:
    with terminal() as output:
        print_table(("call", "message", "at"), [("7", "x" * 200, TIME), ("8", "short", TIME)], crop="message")
    heading, long, brief = shown(output)
    assert heading == f"call  {'message':52}  at"
    assert long == f"7     {'x' * 51}…  {TIME}"
    assert brief == f"8     {'short':52}  {TIME}"


def test_if_the_rest_fits_without_it_the_first_cell_has_a_line_of_its_own() -> None:
    columns = ("id", "direction", "status", "number", "contact", "started")
    row = (UUID_ID, "outbound", "in_progress", "+34612345678", "María José Fernández García", TIME)
    with terminal() as output:
        print_table(columns, [row, row], crop="contact")
    lines = shown(output)
    assert lines[0] == "id"
    assert lines[1].split() == [*columns[1:]]
    assert lines[2::2] == [UUID_ID, UUID_ID]
    assert lines[3] == lines[5] == f"  outbound   in_progress  +34612345678  María José Fernán…  {TIME}"


def test_otherwise_each_row_is_a_block_without_its_empty_cells() -> None:
    columns = ("destination", "state", "next_attempt_at", "remote_id", "code", "message")
    row = ("crm", "pending", TIME, "r" * 40, None, "the CRM says no " * 10)
    with terminal() as output:
        print_table(columns, [row, row])
    blocks = "\n".join(shown(output)).split("\n\n")
    assert blocks[0] == blocks[1]
    lines = blocks[0].splitlines()
    assert lines[:4] == [
        "destination      crm",
        "state            pending",
        f"next_attempt_at  {TIME}",
        f"remote_id        {'r' * 40}",
    ]
    assert " ".join(" ".join(lines[4:]).split()) == "message " + ("the CRM says no " * 10).strip()


def test_a_text_that_must_be_read_whole_is_wrapped_at_its_words() -> None:
    with terminal(60) as output:
        print_table(("name", "code", "problem"), [("crm", "unreachable", "no answer " * 12)], wrap="problem")
    first, *rest = shown(output)[1:]
    assert first == "crm   unreachable  no answer no answer no answer no answer"
    assert set(rest) == {" " * 19 + "no answer no answer no answer no answer"}


def test_a_word_longer_than_the_wrapped_column_gets_a_line_of_its_own() -> None:
    rows = [("a-long-destination", "unreachable", f"no row for {UUID_ID}, and none for +34612345678")]
    with terminal(70) as output:
        print_table(("name", "code", "problem"), rows, wrap="problem")
    assert UUID_ID in output.getvalue()
    assert max(map(cell_len, shown(output))) <= 70


cells = st.one_of(
    st.sampled_from([UUID_ID, TIME, "+34612345678", "in_progress", None, 120, True, ""]),
    st.text(max_size=120),
)


@given(
    rows=st.lists(st.tuples(st.sampled_from([UUID_ID, "7"]), cells, cells, cells, cells), max_size=4),
    mode=st.sampled_from([{}, {"crop": "c"}, {"wrap": "c"}]),
    width=st.integers(70, 130),
)
def test_no_line_is_wider_than_the_terminal_and_no_id_is_split(
    rows: list[tuple[Any, ...]], mode: dict[str, str], width: int
) -> None:
    with terminal(width) as output:
        print_table(("id", "a", "b", "c", "when_it_began"), rows, **mode)
    lines = shown(output)
    assert all(cell_len(line) <= width for line in lines)
    assert "\n".join(lines).count(UUID_ID) >= sum(row[0] == UUID_ID for row in rows)


def test_the_fields_of_a_record_keep_their_values_whole() -> None:
    with terminal() as output:
        print_fields({"id": UUID_ID, "transcript": "hola " * 60})
    lines = shown(output)
    assert lines[1] == f"id          {UUID_ID}"
    assert "".join(lines).count("hola") == 60
    assert max(map(len, lines)) <= 80


def test_the_values_of_a_record_that_fit_stay_in_two_columns_whatever_the_others_are() -> None:
    url = f"https://my.cloudtalk.io/pub/r/{'x' * 100}.wav"
    data = {"call_uuid": UUID_ID, "call_id": 1002402487, "custom": {"# calls": None}, "url": url}
    transcript = "Agent: hello\nCustomer: " + "hola " * 30 + "\n"
    with terminal() as output:
        print_fields(
            {
                "call_uuid": UUID_ID,
                "external_number": "+34612345678",
                "contact_name": "漢字 " * 30,
                "recording_url": url,
                "transcript": transcript,
                "cloudtalk_data": data,
                "notes": None,
                "custom": {},
            }
        )
    lines = shown(output)
    assert lines[:3] == [
        "field            value",
        f"call_uuid        {UUID_ID}",
        "external_number  +34612345678",
    ]
    assert lines[lines.index("recording_url") + 1] == f"  {url}"
    assert lines[lines.index("transcript") + 1] == "  Agent: hello"
    block = lines[lines.index("cloudtalk_data") + 1 :]
    assert block[0:2] == ["  {", f'    "call_uuid": "{UUID_ID}",']
    assert json.loads("".join(block)) == data
    assert all(cell_len(line) <= 80 for line in lines if url not in line)


def test_an_empty_first_cell_is_no_line() -> None:
    rows = [(None, "a" * 30, TIME, TIME), ("7", "b" * 30, TIME, TIME)]
    with terminal(78) as output:
        print_table(("agent_id", "agent_name", "started_at", "ended_at"), rows)
    assert [line for line in shown(output) if not line] == [""]
    assert f"agent_name  {'a' * 30}" in shown(output)


def test_ids_are_not_wrapped_and_other_columns_are() -> None:
    rows: list[tuple[Any, ...]] = [("cloudtalk-sim-00000000-000001", "missed", "María José Fernández " * 4)]
    with terminal(60) as printed:
        print_table(("id", "status", "contact"), rows)
    output = printed.getvalue()
    assert "cloudtalk-sim-00000000-000001" in output
    assert len(output.splitlines()) > 3
    assert output.count("Fernández") == 4
